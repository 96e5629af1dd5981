//! The part of a document between two marks, written from results: machine, programs, a table and a plot for each
//! scenario, and how the aims came out.

use std::fs;
use std::path::{Path, PathBuf};

use super::result::{Results, ScenarioResult};
use super::table::{cells, number};

/// Where the written part begins.
pub const BEGIN: &str = "<!-- figures: written by graylane-loadtest -->";
/// Where it ends.
pub const END: &str = "<!-- figures: end -->";

/// A document cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    /// It cannot be read or written.
    #[error("cannot read or write {path}", path = path.display())]
    Io {
        /// The document.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It has no place for figures.
    #[error("{path} lacks the line `{BEGIN}` or, after it, `{END}`", path = path.display())]
    Marks {
        /// The document.
        path: PathBuf,
    },
}

/// Writes the figures into a document, between its marks. `plots` is the folder of the plots, as seen from it.
///
/// # Errors
/// Where it cannot be read or written, or has no marks.
pub fn write_into(path: &Path, results: &Results, plots: &str) -> Result<(), DocumentError> {
    let io = |source| DocumentError::Io { path: path.to_owned(), source };
    let text = fs::read_to_string(path).map_err(io)?;
    let filled =
        filled(&text, &figures(results, plots)).ok_or_else(|| DocumentError::Marks { path: path.to_owned() })?;
    fs::write(path, filled).map_err(io)
}

fn filled(text: &str, figures: &str) -> Option<String> {
    let (before, rest) = text.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n\n{figures}\n{END}{after}"))
}

/// All figures, as Markdown.
pub fn figures(results: &Results, plots: &str) -> String {
    let machine = &results.machine;
    let mut text = format!(
        "{}, by `{}`, on {} ({} cores, {} MiB, Linux {}).\n\n",
        results.when, results.command, machine.processor, machine.cores, machine.memory_mib, machine.kernel
    );
    for (program, version) in &results.versions {
        text += &format!("- {program}: {version}\n");
    }
    text += "\n| aim | | |\n|---|---:|---|\n";
    for result in &results.scenarios {
        for judged in result.judged() {
            let value = judged.value.map_or("not measured".to_owned(), number);
            let kept = if judged.kept { "kept" } else { "**missed**" };
            text += &format!("| {}: {} | {value} | {kept} |\n", result.scenario.name, judged.words);
        }
    }
    results.scenarios.iter().for_each(|result| text += &scenario(result, plots));
    text
}

fn scenario(result: &ScenarioResult, plots: &str) -> String {
    let scenario = &result.scenario;
    let cells = cells(result);
    let mut text = format!(
        "\n### {}\n\n{}. {} rounds of {} s.\n\n",
        scenario.name, scenario.title, scenario.rounds, scenario.seconds
    );
    if let Some(note) = &result.note {
        text += &format!("{note}.\n\n");
    }
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    text += &line(&cells.head);
    text += &format!("|---|{}\n", "---:|".repeat(cells.head.len() - 1));
    cells.rows.iter().for_each(|row| text += &line(row));
    text += &format!("\n![{}]({plots}/{}.svg)\n", scenario.name, scenario.name);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_between_the_marks_changes() {
        let text = format!("a\n{BEGIN}\nold\n{END}\nb\n");
        let once = filled(&text, "new\n").expect("marks");
        assert_eq!(once, format!("a\n{BEGIN}\n\nnew\n\n{END}\nb\n"));
        assert_eq!(filled(&once, "new\n"), Some(once.clone()));
    }

    #[test]
    fn a_document_without_marks_is_left_alone() {
        assert_eq!(filled(&format!("a {END} b {BEGIN}"), "new"), None);
    }
}

//! Tables: the same rows for the terminal and for Markdown.

use comfy_table::{CellAlignment, Table, presets};

use super::result::{Figure, ScenarioResult};
use crate::scenario::Peer;

/// The head and the rows of a scenario, as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cells {
    /// The head.
    pub head: Vec<String>,
    /// The rows.
    pub rows: Vec<Vec<String>>,
}

/// A scenario's table: medians, of the main figure the range too, and what graylane's main figure is beside the row's.
pub fn cells(result: &ScenarioResult) -> Cells {
    let main = result.scenario.figure.main();
    let mut names: Vec<(String, String)> = Vec::new();
    for figure in result.rows.iter().flat_map(|row| &row.figures) {
        if names.iter().all(|(name, _)| *name != figure.name) {
            names.push((figure.name.clone(), figure.unit.clone()));
        }
    }
    let mut head = vec!["who".to_owned()];
    for (name, unit) in &names {
        head.push(format!("{name}, {unit}"));
        if name == main {
            head.push("range".to_owned());
        }
    }
    let varied = result.scenario.vary.as_ref();
    head.push(varied.map_or("graylane / it".to_owned(), |_| "/ first".to_owned()));
    head.push("wrong".to_owned());
    let mut rows = Vec::new();
    for row in &result.rows {
        let label = varied.map_or_else(|| row.label(), |vary| format!("{} {}", row.label(), vary.what.name()));
        let mut cells = vec![label];
        for (name, _) in &names {
            let figure = row.figures.iter().find(|figure| figure.name == *name);
            cells.push(figure.map_or(String::new(), |figure| number(figure.median())));
            if name == main {
                cells.push(figure.map_or(String::new(), range));
            }
        }
        let beside = match row.value {
            Some(_) => result.growth(row),
            // At a peer's own rate the origin is nobody to compare with.
            None if row.peer == Peer::Graylane || (row.peer == Peer::Origin && row.beside.is_some()) => None,
            None => result.ratio(main, row.peer),
        };
        cells.push(beside.map_or(String::new(), |ratio| format!("{ratio:.2}")));
        cells.push((row.errors + row.wrong).to_string());
        rows.push(cells);
    }
    Cells { head, rows }
}

/// Three digits that count.
pub fn number(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        small if small < 1.0 => format!("{value:.3}"),
        small if small < 10.0 => format!("{value:.2}"),
        middle if middle < 1000.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

fn range(figure: &Figure) -> String {
    let (least, most) = figure.range();
    format!("{}..{}", number(least), number(most))
}

/// For the terminal: title, table, aims, and what went wrong.
pub fn text(result: &ScenarioResult) -> String {
    let cells = cells(result);
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(&cells.head);
    for row in &cells.rows {
        table.add_row(row);
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    let mut text = format!("{}: {}\n{table}\n", result.scenario.name, result.scenario.title);
    if let Some(note) = &result.note {
        text += &format!("  {note}\n");
    }
    for judged in result.judged() {
        let value = judged.value.map_or("not measured".to_owned(), number);
        text += &format!("  {} {}: {value}\n", if judged.kept { "kept  " } else { "MISSED" }, judged.words);
    }
    for row in result.rows.iter().filter(|row| !row.is_clean()) {
        let problem = row.problem.as_deref().unwrap_or("not told");
        text +=
            &format!("  NO RESULT for {}: {} errors, {} wrong lanes: {problem}\n", row.label(), row.errors, row.wrong);
    }
    text
}

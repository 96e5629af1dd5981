//! What is wrong with a configuration, where, and what to do about it.
//!
//! Problems are collected, never thrown: a file is read to its end and everything found is told at once.

use std::fmt;
use std::path::{Path, PathBuf};

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use serde::Serialize;

use super::nearest::nearest;
use super::text::{Span, Texts};

/// More than this many problems help nobody; the rest is counted.
const MOST_SHOWN: usize = 100;
/// Longest message: user text in it is cut.
const LONGEST_MESSAGE: usize = 400;
/// Characters of a line that an excerpt shows.
const EXCERPT_WIDTH: usize = 120;

/// Whether a problem refuses the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The configuration is refused.
    Error,
    /// The configuration is taken, but somebody should know.
    Warning,
}

/// One problem at one place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The file as it was named.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// Whether the configuration is refused.
    pub severity: Severity,
    /// What is wrong: lower case, no full stop.
    pub message: String,
    /// The nearest valid word, where there is one.
    pub suggestion: Option<String>,
    /// What to do, where the message does not say it all.
    pub help: Option<String>,
    /// The line the problem is on, cut to the part around it.
    #[serde(skip)]
    excerpt: Excerpt,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Excerpt {
    line: String,
    start: usize,
    end: usize,
}

impl Problem {
    /// `file:line:column: message`, then the excerpt with a caret, then the help.
    pub fn render(&self, style: Style) -> String {
        let renderer = match style {
            Style::Plain => Renderer::plain(),
            Style::Coloured => Renderer::styled(),
        };
        let (level, word) = match self.severity {
            Severity::Error => (Level::ERROR, ""),
            Severity::Warning => (Level::WARNING, "warning: "),
        };
        let mut out = format!("{}:{}:{}: {word}{}", self.file, self.line, self.column, self.message);
        if !self.excerpt.line.trim().is_empty() {
            let snippet = Snippet::source(self.excerpt.line.as_str())
                .line_start(self.line)
                .annotation(AnnotationKind::Primary.span(self.excerpt.start..self.excerpt.end));
            out.push('\n');
            out.push_str(&renderer.render(&[Group::with_level(level).element(snippet)]));
        }
        if let Some(word) = &self.suggestion {
            out.push_str(&format!("\n  help: did you mean `{word}`?"));
        }
        if let Some(help) = &self.help {
            out.push_str(&format!("\n  help: {help}"));
        }
        out
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {}", self.file, self.line, self.column, self.message)?;
        match &self.suggestion {
            Some(word) => write!(f, " (did you mean `{word}`?)"),
            None => Ok(()),
        }
    }
}

/// Whether rendered problems carry terminal colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Text only.
    Plain,
    /// ANSI colours.
    Coloured,
}

/// Why a configuration is refused: every error, in the order of the files.
#[derive(Debug, Clone, Default, thiserror::Error)]
#[error("{}", self.summary())]
pub struct Problems {
    list: Vec<Problem>,
    omitted: usize,
}

impl Problems {
    /// The problems, in the order of files and lines.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.list.iter()
    }

    /// How many further problems were found but not kept.
    pub fn omitted(&self) -> usize {
        self.omitted
    }

    /// Every problem with its excerpt, and a last line that counts them.
    pub fn render(&self, style: Style) -> String {
        let mut out = String::new();
        for problem in &self.list {
            out.push_str(&problem.render(style));
            out.push_str("\n\n");
        }
        out.push_str(&self.count());
        out
    }

    fn count(&self) -> String {
        let errors = self.list.len();
        let more = match self.omitted {
            0 => String::new(),
            n => format!(" and {n} more that are not shown"),
        };
        format!("{errors} error{}{more}", if errors == 1 { "" } else { "s" })
    }

    fn summary(&self) -> String {
        match self.list.first() {
            Some(first) => format!("{first} ({})", self.count()),
            None => self.count(),
        }
    }
}

/// Where problems are collected while files are read and checked.
#[derive(Debug, Default)]
pub(super) struct Findings {
    list: Vec<Finding>,
    omitted: usize,
    errors: usize,
    overflow: Finding,
    /// The files that are named and were to be read.
    files: Vec<PathBuf>,
}

/// A problem before its place is turned into file, line and column.
#[derive(Debug)]
pub(super) struct Finding {
    at: Span,
    severity: Severity,
    message: String,
    suggestion: Option<String>,
    help: Option<String>,
    other: Option<(Span, &'static str)>,
    /// It will not be shown, so nothing more is worked out for it.
    dropped: bool,
}

impl Default for Finding {
    fn default() -> Self {
        Finding {
            at: Span::default(),
            severity: Severity::Warning,
            message: String::new(),
            suggestion: None,
            help: None,
            other: None,
            dropped: false,
        }
    }
}

impl Finding {
    /// Adds the nearest of the valid words, if one is near.
    pub(super) fn suggest<'a>(&mut self, wrong: &str, words: impl IntoIterator<Item = &'a str>) -> &mut Self {
        if !self.dropped {
            self.suggestion = nearest(wrong, words);
        }
        self
    }

    /// Adds the nearest valid word, or all of them where none is near and they are few.
    pub(super) fn suggest_or_list<'a>(&mut self, wrong: &str, words: impl IntoIterator<Item = &'a str>) -> &mut Self {
        const FEW: usize = 24;
        if self.dropped {
            return self;
        }
        let words: Vec<&str> = words.into_iter().collect();
        self.suggestion = nearest(wrong, words.iter().copied());
        if self.suggestion.is_none() && !words.is_empty() && words.len() <= FEW {
            self.help = Some(format!("valid: {}", words.join(", ")));
        }
        self
    }

    pub(super) fn help(&mut self, text: impl Into<String>) -> &mut Self {
        self.help = Some(text.into());
        self
    }

    /// Names a second place: `what` says what is there ("first written").
    pub(super) fn also(&mut self, at: Span, what: &'static str) -> &mut Self {
        self.other = Some((at, what));
        self
    }
}

impl Findings {
    pub(super) fn error(&mut self, at: Span, message: impl Into<String>) -> &mut Finding {
        self.errors += 1;
        self.add(at, Severity::Error, message.into())
    }

    pub(super) fn warn(&mut self, at: Span, message: impl Into<String>) -> &mut Finding {
        self.add(at, Severity::Warning, message.into())
    }

    /// Whether an error was found so far.
    /// A file that is named is to be read.
    pub(super) fn note_file(&mut self, path: &Path) {
        self.files.push(path.to_owned());
    }

    /// The files that were to be read.
    pub(super) fn take_files(&mut self) -> Vec<PathBuf> {
        std::mem::take(&mut self.files)
    }

    pub(super) fn refused(&self) -> bool {
        self.errors > 0
    }

    /// How many errors were found so far.
    pub(super) fn errors(&self) -> usize {
        self.errors
    }

    fn add(&mut self, at: Span, severity: Severity, message: String) -> &mut Finding {
        let finding = Finding { at, severity, message, ..Finding::default() };
        // Bounded while collecting: a file of 4 MiB may hold a million wrong values. An error always finds room among the first.
        if self.list.len() >= 4 * MOST_SHOWN && !(severity == Severity::Error && self.errors == 1) {
            self.omitted += usize::from(severity == Severity::Error);
            self.overflow = Finding { dropped: true, ..finding };
            return &mut self.overflow;
        }
        self.list.push(finding);
        let last = self.list.len() - 1;
        &mut self.list[last]
    }

    /// Puts every finding into words and places: the warnings of a good configuration, or the errors of a refused one.
    /// Warnings beside errors would mostly be their consequences ("nothing uses ..."), so they wait.
    pub(super) fn resolve(self, texts: &Texts) -> Result<Vec<Problem>, Problems> {
        let refused = self.errors > 0;
        let told = self.list.iter().filter(|finding| !refused || finding.severity == Severity::Error);
        let mut list: Vec<(usize, Problem)> =
            told.map(|finding| (finding.at.source(), resolve_one(finding, texts))).collect();
        list.sort_by_key(|(source, problem)| (*source, problem.line, problem.column));
        let mut list: Vec<Problem> = list.into_iter().map(|(_, problem)| problem).collect();
        if !refused {
            return Ok(list);
        }
        let omitted = self.omitted + list.len().saturating_sub(MOST_SHOWN);
        list.truncate(MOST_SHOWN);
        Err(Problems { list, omitted })
    }
}

fn resolve_one(finding: &Finding, texts: &Texts) -> Problem {
    let position = texts.position(finding.at);
    let mut message = printable(&finding.message, LONGEST_MESSAGE);
    if let Some((at, what)) = finding.other {
        let there = texts.position(at);
        let file = texts.get(at.source()).path.display();
        message.push_str(&format!("; {what} at {file}:{}:{}", there.line, there.column));
    }
    let (line, range) = texts.line_of(finding.at);
    Problem {
        file: printable(&texts.get(finding.at.source()).path.display().to_string(), LONGEST_MESSAGE),
        line: position.line,
        column: position.column,
        severity: finding.severity,
        message,
        suggestion: finding.suggestion.as_deref().map(|word| printable(word, LONGEST_MESSAGE)),
        help: finding.help.as_deref().map(|help| printable(help, LONGEST_MESSAGE)),
        excerpt: excerpt(line, range),
    }
}

/// The part of the line around the span, with control characters made visible: a file must not steer the terminal.
fn excerpt(line: &str, range: std::ops::Range<usize>) -> Excerpt {
    let lead = line[..range.start].chars().count();
    let marked = line[range.clone()].chars().count();
    let from = if lead + marked <= EXCERPT_WIDTH { 0 } else { lead.saturating_sub(EXCERPT_WIDTH / 3) };
    let visible = |c: char| {
        if c == '\t' {
            ' '
        } else if c.is_control() {
            '\u{fffd}'
        } else {
            c
        }
    };
    let shown: String = line.chars().skip(from).take(EXCERPT_WIDTH).map(visible).collect();
    let offset = |characters: usize| shown.chars().take(characters).map(char::len_utf8).sum::<usize>();
    Excerpt { start: offset(lead - from), end: offset(lead - from + marked), line: shown }
}

fn printable(text: &str, longest: usize) -> String {
    let mut out = String::with_capacity(text.len().min(longest));
    for (count, c) in text.chars().enumerate() {
        if count == longest {
            out.push_str("...");
            break;
        }
        if c.is_control() {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

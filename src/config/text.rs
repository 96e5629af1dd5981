//! The texts that were read and places in them.

use std::ops::Range;
use std::path::{Path, PathBuf};

use super::reach::Reach;

/// A place in one source text, in bytes. Cheap to copy: every value that is read carries one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Span {
    source: u32,
    start: u32,
    end: u32,
}

impl Span {
    /// Texts are far shorter than 4 GiB (`disk::MAX_FILE_BYTES`), so the narrowing saturates in theory only.
    pub(super) fn new(source: usize, range: Range<usize>) -> Self {
        let narrow = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Span { source: narrow(source), start: narrow(range.start), end: narrow(range.end.max(range.start)) }
    }

    /// The first byte of a source: where a problem of the file as a whole is shown.
    pub(super) fn start_of(source: usize) -> Self {
        Span::new(source, 0..0)
    }

    /// Index of the source in `Texts`.
    pub(super) fn source(self) -> usize {
        self.source as usize
    }

    pub(super) fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }
}

/// A value with the place it was written at.
#[derive(Debug, Clone)]
pub(super) struct At<T> {
    pub(super) value: T,
    pub(super) at: Span,
}

impl<T> std::ops::Deref for At<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.value
    }
}

/// One file as it was read.
#[derive(Debug)]
pub(super) struct Text {
    pub(super) path: PathBuf,
    pub(super) text: String,
}

/// Every file that was read, in the order of reading.
#[derive(Debug, Default)]
pub(super) struct Texts {
    list: Vec<Text>,
    reach: Option<Reach>,
}

/// Line and column, both from 1; the column counts characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Position {
    pub(super) line: usize,
    pub(super) column: usize,
}

impl Texts {
    /// None yet; the files that they name are opened only within this reach.
    pub(super) fn within(reach: Reach) -> Self {
        Self { list: Vec::new(), reach: Some(reach) }
    }

    /// Which files may be opened; `None`: every one.
    pub(super) fn reach(&self) -> Option<&Reach> {
        self.reach.as_ref()
    }

    pub(super) fn add(&mut self, path: &Path, text: String) -> usize {
        self.list.push(Text { path: path.to_owned(), text });
        self.list.len() - 1
    }

    pub(super) fn get(&self, source: usize) -> &Text {
        &self.list[source]
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Text> {
        self.list.iter()
    }

    /// The folder that relative paths written in this source start from.
    pub(super) fn folder(&self, source: usize) -> &Path {
        self.get(source).path.parent().unwrap_or(Path::new(""))
    }

    /// A path as written, from the folder of the file that names it.
    pub(super) fn path_of(&self, written: &At<String>) -> PathBuf {
        self.folder(written.at.source()).join(&written.value)
    }

    pub(super) fn position(&self, span: Span) -> Position {
        let text = &self.get(span.source()).text;
        let start = floor_char_boundary(text, span.range().start);
        let before = &text[..start];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Position { line: before.matches('\n').count() + 1, column: before[line_start..].chars().count() + 1 }
    }

    /// The line a span starts on and the part of the span on that line, as byte offsets of the line.
    pub(super) fn line_of(&self, span: Span) -> (&str, Range<usize>) {
        let text = &self.get(span.source()).text;
        let start = floor_char_boundary(text, span.range().start);
        let end = floor_char_boundary(text, span.range().end).max(start);
        let line_start = text[..start].rfind('\n').map_or(0, |newline| newline + 1);
        let line_end = text[start..].find('\n').map_or(text.len(), |newline| start + newline);
        let line = text[line_start..line_end].trim_end_matches('\r');
        let clip = |offset: usize| (offset - line_start).min(line.len());
        (line, clip(start)..clip(end))
    }
}

fn floor_char_boundary(text: &str, offset: usize) -> usize {
    let mut offset = offset.min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    offset
}

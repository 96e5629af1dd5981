//! What is looked at before the parser sees a source: its length, nesting and words.
//!
//! The parser recurses some twenty frames for each bracket and has no bound of its own that suits a small stack, and it
//! expands the macros that loop. Both are refused here, by one pass over the bytes.

use std::ops::Range;

use cel::parser::{Expression as Tree, Parser};

use super::{Expression, ExpressionError, syntax};

/// Calls that the parser would turn into loops.
const LOOPS: [&str; 7] = ["all", "exists", "exists_one", "existsOne", "map", "filter", "reduce"];
/// `has` is a macro of the parser, and only for fields; ours takes a fact.
pub(super) const HAS: &str = "__has";
/// By how much it is longer.
const LONGER: usize = HAS.len() - "has".len();

/// A source that may be given to the parser.
#[derive(Debug, Clone)]
pub struct Fenced<'s> {
    source: &'s str,
    for_parser: String,
    /// Where in `for_parser` a `has` of the source is renamed.
    renamed: Vec<usize>,
    words: Vec<(String, Range<usize>)>,
}

/// A source with its tree.
#[derive(Debug)]
pub struct Parsed {
    source: String,
    words: Vec<(String, Range<usize>)>,
    pub(super) tree: Tree,
}

impl Parsed {
    /// The source.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Where a word stands first, else the whole source.
    pub(super) fn place(&self, word: &str) -> Range<usize> {
        let found = self.words.iter().find(|(known, _)| known == word);
        found.map_or(0..self.source.len(), |(_, at)| at.clone())
    }
}

impl<'s> Fenced<'s> {
    /// The longest source, in bytes.
    pub const LONGEST: usize = 2048;
    /// The stack that parsing may need.
    pub const STACK: usize = 32 << 20;
    /// The most words, numbers, texts and signs.
    const MOST_TOKENS: usize = 512;
    /// The longest number: what a decimal takes is shorter.
    const LONGEST_NUMBER: usize = 28;

    /// Looks a source over, or says what is not allowed in it.
    pub fn new(source: &'s str) -> Result<Fenced<'s>, ExpressionError> {
        if source.len() > Fenced::LONGEST {
            let message = format!("an expression has at most {} bytes, not {}", Fenced::LONGEST, source.len());
            return Err(error(0..0, message));
        }
        if source.trim().is_empty() {
            return Err(error(0..source.len(), "the expression is empty"));
        }
        let mut scan = Scan { source, at: 0, depth: 0, prefixes: 0, questions: 0, tokens: 0, words: Vec::new() };
        while scan.at < source.len() {
            scan.token()?;
        }
        let mut for_parser = source.to_owned();
        let mut renamed = Vec::new();
        for (_, at) in scan.words.iter().filter(|(word, at)| word == "has" && scan.is_call(at.end)) {
            let start = at.start + renamed.len() * LONGER;
            for_parser.replace_range(start..start + "has".len(), HAS);
            renamed.push(start);
        }
        Ok(Fenced { source, for_parser, renamed, words: scan.words })
    }

    /// Parses. Recurses: to be called with [`Fenced::STACK`] bytes of stack.
    pub fn parse(self) -> Result<Parsed, ExpressionError> {
        let tree = Parser::new().parse(&self.for_parser).map_err(|errors| {
            let places = errors.errors.iter().filter_map(|error| self.place(error.pos));
            syntax::fault(self.source, places.min())
        })?;
        Ok(Parsed { source: self.source.to_owned(), words: self.words, tree })
    }
}

impl Fenced<'_> {
    /// The byte of the source that the parser means by a line and a column, both counted from 1 and in characters.
    fn place(&self, (line, column): (isize, isize)) -> Option<usize> {
        let (line, column) = (usize::try_from(line - 1).ok()?, usize::try_from(column - 1).ok()?);
        let before: usize = self.for_parser.split('\n').take(line).map(|line| line.len() + 1).sum();
        let rest = self.for_parser.get(before..)?;
        let at = before + rest.char_indices().nth(column).map_or(rest.len(), |(at, _)| at);
        // What the parser saw is longer than the source by two underscores for every `has` before.
        let renamed = self.renamed.iter().filter(|start| *start + HAS.len() <= at).count();
        Some((at - renamed * LONGER).min(self.source.len()))
    }
}

pub(super) fn error(at: Range<usize>, message: impl Into<String>) -> ExpressionError {
    ExpressionError { at, message: message.into(), nearest: None }
}

struct Scan<'s> {
    source: &'s str,
    at: usize,
    depth: usize,
    /// `!` and `-` in a row.
    prefixes: usize,
    questions: usize,
    tokens: usize,
    words: Vec<(String, Range<usize>)>,
}

impl Scan<'_> {
    fn token(&mut self) -> Result<(), ExpressionError> {
        let (start, rest) = (self.at, &self.source.as_bytes()[self.at..]);
        if rest[0].is_ascii_whitespace() {
            self.at += 1;
            return Ok(());
        }
        self.tokens += 1;
        if self.tokens > Fenced::MOST_TOKENS {
            return Err(error(start..start + 1, format!("more than {} words and signs", Fenced::MOST_TOKENS)));
        }
        let is_prefix = matches!(rest, [b'-', ..] | [b'!']) || rest[0] == b'!' && rest.get(1) != Some(&b'=');
        self.prefixes = if is_prefix { self.prefixes + 1 } else { 0 };
        match rest[0] {
            b'"' | b'\'' => self.text(start, false)?,
            byte if byte.is_ascii_digit() => self.number(start)?,
            byte if byte.is_ascii_alphabetic() || byte == b'_' => self.word(start)?,
            b'/' if rest.get(1) == Some(&b'/') => {
                return Err(error(start..start + 2, "an expression holds no comment; write a YAML comment beside it"));
            }
            b'(' | b'[' => {
                self.depth += 1;
                self.at += 1;
            }
            b')' | b']' => {
                self.depth = self.depth.saturating_sub(1);
                self.at += 1;
            }
            b'?' => {
                self.questions += 1;
                self.at += 1;
            }
            byte if b"!&|=<>+-*/%.,:".contains(&byte) => self.at += 1,
            _ => {
                let sign = self.source[start..].chars().next().unwrap_or_default();
                let message = format!("`{}` has no meaning in an expression", sign.escape_debug());
                return Err(error(start..start + sign.len_utf8(), message));
            }
        }
        let deepest = self.depth.max(self.prefixes).max(self.questions);
        if deepest > Expression::DEEPEST {
            return Err(error(start..self.at, format!("nested deeper than {}", Expression::DEEPEST)));
        }
        Ok(())
    }

    fn text(&mut self, start: usize, raw: bool) -> Result<(), ExpressionError> {
        let bytes = self.source.as_bytes();
        let quote = bytes[self.at];
        if bytes[self.at..].starts_with(&[quote; 3]) {
            return Err(error(start..start + 3, "a text stands between single quotation marks, `\"` or `'`"));
        }
        let mut at = self.at + 1;
        while let Some(byte) = bytes.get(at) {
            match byte {
                b'\\' if !raw => at += 2,
                b'\n' | b'\r' => break,
                byte if *byte == quote => {
                    self.at = at + 1;
                    return Ok(());
                }
                _ => at += 1,
            }
        }
        Err(error(start..self.source.len(), "a text is not closed"))
    }

    fn number(&mut self, start: usize) -> Result<(), ExpressionError> {
        let bytes = &self.source.as_bytes()[start..];
        let length = bytes.iter().take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'.').count();
        let written = &self.source[start..start + length];
        self.at += length;
        let plain = written.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        let at = start..self.at;
        if !plain || super::super::number(written).is_none() && length <= Fenced::LONGEST_NUMBER {
            return Err(error(at, "a number is written in plain digits, as 500 or 0.25"));
        }
        // The parser keeps a fraction in a float, which is exact to 15 digits; a whole number in 64 bits.
        let digits = written.bytes().filter(u8::is_ascii_digit).count();
        let most = if written.contains('.') { 15 } else { 18 };
        if digits > most {
            return Err(error(at, format!("a number of {digits} digits; {most} at most are exact")));
        }
        Ok(())
    }

    fn word(&mut self, start: usize) -> Result<(), ExpressionError> {
        let bytes = &self.source.as_bytes()[start..];
        let length = bytes.iter().take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_').count();
        let word = &self.source[start..start + length];
        self.at += length;
        if matches!(bytes.get(length), Some(b'"' | b'\'')) {
            return match word {
                "r" | "R" => self.text(start, true),
                _ => Err(error(start..self.at, format!("`{word}` before a text means nothing here"))),
            };
        }
        let at = start..self.at;
        if word.starts_with("__") {
            return Err(error(at, "a name does not begin with two underscores"));
        }
        if LOOPS.contains(&word) && self.is_call(at.end) {
            let message = format!("`{word}()` loops, and an expression does not; use `in`, or ANY_OF and ALL_OF");
            return Err(error(at, message));
        }
        self.words.push((word.to_owned(), at));
        Ok(())
    }

    fn is_call(&self, end: usize) -> bool {
        self.source[end..].trim_start().starts_with('(')
    }
}

//! One line of a log as a request with gaps.

mod combined;
mod graylane;
mod mapped;

use std::borrow::Cow;

use super::fields::{Fields, Format};
use crate::decide::{Bucket, FactId};

/// What a log says about a value: it, that there was none, or nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) enum Known<'a> {
    Value(Cow<'a, str>),
    Absent,
    #[default]
    Unknown,
}

/// One request of a log.
#[derive(Debug, Default)]
pub(super) struct Line<'a> {
    pub(super) method: Cow<'a, str>,
    /// Without the query.
    pub(super) path: Cow<'a, str>,
    pub(super) host: Known<'a>,
    pub(super) query: Known<'a>,
    pub(super) client: Known<'a>,
    pub(super) user: Known<'a>,
    pub(super) device: Known<'a>,
    /// Facts by name.
    pub(super) facts: Named<'a>,
    /// Headers by their names in lower case.
    pub(super) headers: Named<'a>,
    /// Cookies that the log names one by one.
    pub(super) cookies: Named<'a>,
    /// In graylane's own log: facts with a field of their own that are neither there nor said to be absent.
    pub(super) left_out: Vec<FactId>,
    /// In graylane's own log, where user and device are hashes: the buckets.
    pub(super) buckets: Option<Buckets<'a>>,
    /// In graylane's own log: what was decided.
    pub(super) decided: Option<Decided<'a>>,
}

/// Values by name. They are few, so they are searched one by one.
pub(super) type Named<'a> = Vec<(Cow<'a, str>, Known<'a>)>;

/// The buckets of a request whose user is a hash.
#[derive(Debug, Default)]
pub(super) struct Buckets<'a> {
    /// The fact that they were made from.
    pub(super) key: Option<Cow<'a, str>>,
    /// Each with its salt: the release's, the experiment's.
    pub(super) known: Vec<(Bucket, Cow<'a, str>)>,
}

/// What the log says was decided.
#[derive(Debug)]
pub(super) struct Decided<'a> {
    pub(super) release: Option<Cow<'a, str>>,
    pub(super) lane: Cow<'a, str>,
    /// The reason before a breaker replaced it.
    pub(super) reason: Cow<'a, str>,
    /// A breaker, a limit, a latch or the shield chose the lane that is logged, not the configuration.
    pub(super) diverted: bool,
}

/// Why a line is no request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unreadable {
    #[error("longer than {} KiB", super::blocks::LONGEST_LINE / 1024)]
    TooLong,
    #[error("not UTF-8")]
    NotText,
    #[error("{0}: {1}")]
    NotJson(&'static str, String),
    #[error("not a JSON object, as graylane's own log has them")]
    NotOurs,
    #[error("not the combined form: {0}")]
    NotCombined(&'static str),
    #[error("no {0}")]
    Missing(&'static str),
    #[error("no request: {0}")]
    NoRequest(&'static str),
    #[error("the path was cut when it was logged")]
    CutPath,
}

impl Unreadable {
    /// The kind, for counting.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Unreadable::TooLong => "too_long",
            Unreadable::NotText => "not_utf8",
            Unreadable::NotJson(..) | Unreadable::NotOurs => "not_json",
            Unreadable::NotCombined(_) => "not_combined",
            Unreadable::Missing(_) | Unreadable::NoRequest(_) => "no_request",
            Unreadable::CutPath => "cut_path",
        }
    }

    /// Which one of its kind: lines are counted for each, so these are few.
    pub(super) fn which(&self) -> &'static str {
        match self {
            Unreadable::NotJson(which, _)
            | Unreadable::NotCombined(which)
            | Unreadable::Missing(which)
            | Unreadable::NoRequest(which) => which,
            Unreadable::TooLong | Unreadable::NotText | Unreadable::NotOurs | Unreadable::CutPath => "",
        }
    }

    fn not_json(error: &serde_json::Error) -> Unreadable {
        let which = match error.classify() {
            serde_json::error::Category::Eof => "JSON that ends too early",
            serde_json::error::Category::Data => "not a JSON object of this form",
            serde_json::error::Category::Io | serde_json::error::Category::Syntax => "not JSON",
        };
        Unreadable::NotJson(which, error.to_string())
    }
}

/// Reads a line, its end not included.
pub(super) fn read<'a>(bytes: &'a [u8], format: Format, fields: &'a Fields) -> Result<Line<'a>, Unreadable> {
    if bytes.len() > super::blocks::LONGEST_LINE {
        return Err(Unreadable::TooLong);
    }
    let text = std::str::from_utf8(bytes).map_err(|_| Unreadable::NotText)?;
    let line = match format {
        Format::Graylane => graylane::read(text),
        Format::Combined => combined::read(text, fields),
        Format::Json => mapped::read(text, fields),
    }?;
    if line.method.is_empty() || !line.method.bytes().all(is_token_byte) {
        return Err(Unreadable::NoRequest("the method is no word"));
    }
    if !line.path.starts_with('/') && line.path != "*" {
        return Err(Unreadable::NoRequest("the path does not begin with a slash"));
    }
    Ok(line)
}

/// RFC 9110 section 5.6.2.
fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

impl<'a> Line<'a> {
    /// Puts a fact to its place.
    pub(super) fn put(&mut self, name: Cow<'a, str>, value: Known<'a>) {
        match &*name {
            "user_id" => self.user = value,
            "device_id" => self.device = value,
            _ => self.facts.push((name, value)),
        }
    }

    /// Takes the facts that were left out for absent where `is_always_read` says that every request is looked at for them.
    /// Lines are written since facts were told apart that nobody looked for, never leave out one of those.
    pub(super) fn settle(&mut self, is_always_read: impl Fn(FactId) -> bool) {
        for fact in std::mem::take(&mut self.left_out).into_iter().filter(|fact| is_always_read(*fact)) {
            if let Some((name, _)) = graylane::OWN.iter().find(|(_, id)| *id == fact) {
                self.put(Cow::Borrowed(name), Known::Absent);
            }
        }
    }
}

impl<'a> Known<'a> {
    /// A value that the log always has where there is one.
    pub(super) fn of(value: Option<Cow<'a, str>>) -> Known<'a> {
        value.map_or(Known::Absent, Known::Value)
    }

    pub(super) fn value(&self) -> Option<&str> {
        match self {
            Known::Value(value) => Some(value),
            _ => None,
        }
    }
}

/// Target of a request into path and query; an absolute URL gives its path, `/` where it has none. The query is known to be absent where the
/// target holds none.
fn split_target<'a>(target: Cow<'a, str>) -> (Cow<'a, str>, Known<'a>) {
    let from = match target.find("://") {
        Some(scheme) if !target.starts_with('/') => {
            target[scheme + 3..].find('/').map_or(target.len(), |slash| scheme + 3 + slash)
        }
        _ => 0,
    };
    if from == target.len() {
        return (Cow::Borrowed(if from == 0 { "" } else { "/" }), Known::Absent);
    }
    let mark = target[from..].find('?').map(|mark| from + mark);
    let query = mark.map(|mark| mark + 1);
    match target {
        Cow::Borrowed(text) => {
            (text[from..mark.unwrap_or(text.len())].into(), Known::of(query.map(|query| text[query..].into())))
        }
        Cow::Owned(text) => (
            text[from..mark.unwrap_or(text.len())].to_owned().into(),
            Known::of(query.map(|query| text[query..].to_owned().into())),
        ),
    }
}

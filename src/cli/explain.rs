//! `graylane explain`: the decision for one request and its whole reasoning.

use std::cell::OnceCell;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;

use tokio::runtime::{Builder, Runtime};

use crate::decide::{AllowEncoded, Program, Reasoning};
use crate::extract::{ExplainError, ExplainRequest, ExplainRequestError, Extractor, Surroundings, explain_with};
use crate::lookup::Answer;

/// The request of a command line.
#[derive(Debug, Clone, Default)]
pub struct Asked<'a> {
    /// The method.
    pub method: &'a str,
    /// An absolute URL, or a path.
    pub url: &'a str,
    /// Headers, each `name: value`.
    pub headers: &'a [OsString],
    /// The body.
    pub body: Option<&'a str>,
    /// The address of the peer; without one, a trusted peer speaks.
    pub client_ip: Option<&'a str>,
}

/// How the reasoning is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Lines for people.
    Text,
    /// One JSON object.
    Json,
}

/// Why there is nothing to write.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The command line holds no request.
    #[error(transparent)]
    Request(#[from] ExplainRequestError),
    /// The request would be answered without a decision.
    #[error(transparent)]
    Undecided(#[from] ExplainError),
}

/// The reasoning for the request that was asked about, as it is printed. Nothing is latched: latches are the running
/// process's own.
pub fn answer(
    program: &Program,
    extractor: &Extractor,
    allow: AllowEncoded,
    asked: &Asked<'_>,
    now_unix: u64,
) -> Result<Reasoning, Failure> {
    let mut request = ExplainRequest::new(asked.method, asked.url)?;
    for line in asked.headers {
        request = request.with_header_line(line.as_bytes())?;
    }
    if let Some(body) = asked.body {
        request = request.with_body(body);
    }
    if let Some(address) = asked.client_ip {
        request = request.with_client_ip(address)?;
    }
    let stores = Stores::default();
    let look_up = |lookup: usize, key: &str| stores.ask(extractor, lookup, key);
    let surroundings = Surroundings { allow, latched: &|_| false, now_unix };
    Ok(explain_with(program, extractor, &request, surroundings, &look_up)?)
}

/// The reasoning as it is printed.
pub fn written(reasoning: &Reasoning, form: Form) -> String {
    match form {
        Form::Text => coloured(&reasoning.to_string()),
        Form::Json => {
            let json = serde_json::to_string_pretty(reasoning).expect("a reasoning has text for keys");
            format!("{json}\n")
        }
    }
}

const BOLD: &str = "\x1b[1m";
const DIM: &str = "\x1b[2m";
const GREEN: &str = "\x1b[32m";
const YELLOW: &str = "\x1b[33m";
const PLAIN: &str = "\x1b[0m";

/// The lines with colours: labels dim, headings bold, and the words that answer in green and yellow. Whoever prints them
/// takes the colours out again where they are not wanted.
fn coloured(text: &str) -> String {
    let line = |line: &str| {
        // A heading and its rows are set apart by their indent, the head of the page by its labels of nine characters.
        if let Some(row) = line.strip_prefix("  ") {
            return format!("  {}\n", answers(row));
        }
        match line.split_at_checked(LABEL) {
            Some((label, rest)) if label.ends_with(' ') && !label.starts_with("conditions") => {
                let rest = if label.starts_with("lane") { format!("{BOLD}{rest}{PLAIN}") } else { rest.to_owned() };
                format!("{DIM}{label}{PLAIN}{rest}\n")
            }
            _ if line.is_empty() => String::from("\n"),
            _ => format!("{BOLD}{line}{PLAIN}\n"),
        }
    };
    text.lines().map(line).collect()
}

/// The width of the labels of the first lines.
const LABEL: usize = 9;

/// A row with its answer, the word in the second column, coloured.
fn answers(row: &str) -> String {
    for (words, colour) in [(["hit", "yes", "chosen"], GREEN), (["miss", "no", "below"], YELLOW)] {
        for word in words {
            // The second column is what follows two spaces.
            let Some(at) = row.find(&format!("  {word}")).map(|at| at + 2) else { continue };
            let (before, after) = (&row[..at], &row[at + word.len()..]);
            if after.is_empty() || after.starts_with("  ") {
                return format!("{before}{colour}{word}{PLAIN}{after}");
            }
        }
    }
    row.to_owned()
}

/// Asks the stores of product facts, as the proxy would; begun when first one is asked.
#[derive(Default)]
struct Stores(OnceCell<Option<Runtime>>);

impl Stores {
    fn ask(&self, extractor: &Extractor, lookup: usize, key: &str) -> Answer {
        let begin = || Builder::new_multi_thread().worker_threads(1).enable_all().build().ok();
        let (Some(runtime), Some(lookup)) = (self.0.get_or_init(begin), extractor.lookups().get(lookup)) else {
            return Answer::Nothing("nothing can be looked up here");
        };
        if let Some(desk) = lookup.desk() {
            runtime.spawn(desk.run());
        }
        runtime.block_on(lookup.get(key, usize::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::{FactId, LaneId};
    use crate::decide::{FactTable, Lanes, Level, Permille, Release, ReleaseId, RouteSpec};
    use crate::extract::{Source, Sources, Trust};

    fn world() -> (Program, Extractor) {
        let table = FactTable::new();
        let sources = Sources::new(&table, [(FactId::USER_ID, vec![Source::header("x-user-id")])]);
        let permille = Permille::new(50).unwrap();
        let release = Release { level: Level::Permille, permille, ..Release::closed("pricing-v2") };
        let route = RouteSpec {
            lanes: vec![LaneId::STABLE, LaneId::GRAY],
            release: ReleaseId::from_index(0),
            ..RouteSpec::on_path("goods", "/{*rest}")
        };
        let program = Program::new(Lanes::new(), table, vec![release], vec![route]).unwrap();
        let extractor = Extractor::new(&program, sources, Trust::default());
        (program, extractor)
    }

    #[test]
    fn the_json_answer_has_the_fields_of_the_surface() {
        let (program, extractor) = world();
        let headers = ["X-User-Id: u1".into()];
        let asked = Asked { method: "GET", url: "/api", headers: &headers, ..Asked::default() };
        let reasoning = answer(&program, &extractor, AllowEncoded::default(), &asked, 0).unwrap();
        let json: serde_json::Value = serde_json::from_str(&written(&reasoning, Form::Json)).unwrap();
        assert_eq!(json["bucket"], 68);
        assert_eq!(json["lane"], "stable");
        assert_eq!(json["level"], "none");
        assert_eq!(json["release"], "pricing-v2");
        assert_eq!(json["route"], "goods");
        assert_eq!(json["reason"], "bucket_out");
        assert_eq!(json["facts"]["user_id"]["value"], "u1");
        assert_eq!(json["facts"]["user_id"]["source"], "header x-user-id");
    }

    #[test]
    fn colours_leave_every_character_where_it_is() {
        let (program, extractor) = world();
        let headers = ["X-User-Id: u1".into()];
        let asked = Asked { method: "GET", url: "/api", headers: &headers, ..Asked::default() };
        let reasoning = answer(&program, &extractor, AllowEncoded::default(), &asked, 0).unwrap();
        let text = written(&reasoning, Form::Text);
        assert!(text.contains(&format!("{DIM}lane     {PLAIN}{BOLD}stable{PLAIN}\n")), "{text}");
        assert!(text.contains(&format!("{YELLOW}miss{PLAIN}")), "{text}");
        assert!(text.contains(&format!("{BOLD}levels{PLAIN}\n")), "{text}");
        assert_eq!(anstream::adapter::strip_str(&text).to_string(), reasoning.to_string());
    }

    #[test]
    fn what_is_no_request_is_refused() {
        let (program, extractor) = world();
        let asked = Asked { method: "GET", url: "api", ..Asked::default() };
        let error = answer(&program, &extractor, AllowEncoded::default(), &asked, 0).unwrap_err();
        assert_eq!(error.to_string(), "`api` is no URL; write http://host/path or /path");
    }
}

//! Conditions of releases.

use std::borrow::Cow;

use rust_decimal::Decimal;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::config::node::Node;
use crate::config::problem::Findings;
use crate::config::read::{OneOrMany, Read, mirror, scalar};
use crate::config::text::At;

mirror! {
    /// One condition: `key`, `operator` and `value` or `values`; or an `expression`; or one of `all`, `any`, `not` over
    /// further conditions.
    #[schemars(rename = "Condition")]
    struct FileCondition("a condition") {
        /// A fact by name, `tag`, `header:NAME` or `query:NAME`.
        #[schemars(extend("examples" = ["category_id", "tag", "header:x-app-version", "query:beta"]))]
        key: At<String>,
        /// How the fact is compared.
        operator: At<OperatorWord>,
        /// The value it is compared with.
        value: At<FileScalar>,
        /// The values it is compared with.
        values: OneOrMany<At<FileScalar>>,
        /// An expression in CEL that is true or false.
        #[schemars(extend("examples" = ["stock_level > 500 && tier == \"VIP\""]))]
        expression: At<String>,
        /// All of these hold.
        all: Vec<FileCondition>,
        /// At least one of these holds.
        any: Vec<FileCondition>,
        /// This does not hold; of a list: not all of them hold.
        not: OneOrMany<FileCondition>,
    }
}

/// An operator as written; `decide` knows which there are.
#[derive(Debug, Clone)]
pub(in crate::config) struct OperatorWord(pub(in crate::config) String);

impl Read for OperatorWord {
    fn read(node: &Node, findings: &mut Findings) -> Option<Self> {
        scalar(node, "an operator", findings).map(|scalar| OperatorWord(scalar.text.clone()))
    }
}

/// A value of a condition as YAML means it: text, number or boolean.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::config) enum FileScalar {
    Text(String),
    Number(Decimal),
    Bool(bool),
}

impl Read for FileScalar {
    fn read(node: &Node, findings: &mut Findings) -> Option<Self> {
        let scalar = scalar(node, "a value", findings)?;
        Some(match scalar.boolean() {
            Some(flag) => FileScalar::Bool(flag),
            None => match (scalar.quoted, number(&scalar.text)) {
                (false, Some(number)) => FileScalar::Number(number),
                _ => FileScalar::Text(scalar.text.clone()),
            },
        })
    }
}

/// A plain number. One with a leading zero is a code, and a code is a text; so is one that would have to be rounded.
fn number(text: &str) -> Option<Decimal> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let code = digits.len() > 1 && digits.starts_with('0') && !digits.starts_with("0.");
    let plain =
        digits.starts_with(|c: char| c.is_ascii_digit()) && digits.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    if code || !plain { None } else { Decimal::from_str_exact(text).ok() }
}

impl JsonSchema for FileScalar {
    fn schema_name() -> Cow<'static, str> {
        "Scalar".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "number", "boolean"], "description": "A value; codes are quoted: \"1001\"." })
    }
}

impl JsonSchema for OperatorWord {
    fn schema_name() -> Cow<'static, str> {
        "Operator".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "enum": crate::decide::Operator::NAMES })
    }
}

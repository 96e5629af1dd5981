//! What the names of an expression stand for, and what is said of those that stand for nothing.

use std::sync::Arc;

use cel::common::ast::operators as op;
use cel::common::ast::{CallExpr, Expr, LiteralValue};
use cel::parser::Expression as Tree;

use super::super::fact::{FactId, FactKind};
use super::super::word::nearest;
use super::compile::{Compiled, Compiler, Kind, Named};
use super::{Expression, ExpressionError};

impl Expression {
    /// The names of the functions that an expression may call.
    pub const FUNCTIONS: [&str; 12] = FUNCTIONS;
}

/// The functions there are, for suggestions.
const FUNCTIONS: [&str; 12] = [
    "has",
    "header",
    "query",
    "size",
    "startsWith",
    "endsWith",
    "contains",
    "matches",
    "isInStock",
    "discountByTier",
    "tagScore",
    "applyPromo",
];

impl Compiler<'_> {
    pub(super) fn tags(&mut self, tree: &Tree, function: &str) -> Compiled<FactId> {
        match self.named(tree)? {
            Named::Fact(fact, FactKind::Tags) => Ok(fact),
            _ => Err(self.wrong_at(function, format!("`{function}()` takes `tags`"))),
        }
    }

    /// What a name, a dotted name, `header("x")` or `query("x")` stands for.
    pub(super) fn named(&mut self, tree: &Tree) -> Compiled<Named> {
        if let Expr::Call(call) = &tree.expr
            && matches!(call.func_name.as_str(), "header" | "query")
        {
            let [Tree { expr: Expr::Literal(LiteralValue::String(name)), .. }] = call.args.as_slice() else {
                let message = format!("`{0}` is written `{0}(\"name\")`", call.func_name);
                return Err(self.wrong_at(&call.func_name, message));
            };
            let key = format!("{}:{}", call.func_name, name.inner());
            let fact = self.table.resolve(&key).map_err(|why| self.wrong_at(&call.func_name, why.to_string()))?;
            return Ok(self.fact(fact));
        }
        let Some(name) = dotted(tree) else {
            let unknown = match &tree.expr {
                Expr::Call(call) => self.unknown_function(&call.func_name),
                _ => None,
            };
            return Err(unknown.unwrap_or_else(|| self.wrong("lists, maps and fields are no part of this")));
        };
        if let Some(fact) = self.table.id(&name) {
            return Ok(self.fact(fact));
        }
        if let Some((_, value)) = self.vocabulary.values.iter().find(|(known, _)| *known == name) {
            self.facts.extend_from_slice(&value.facts);
            if !self.named.iter().any(|(known, _)| **known == *name) {
                self.named.push((name.into(), Arc::clone(&value.value)));
            }
            return Ok(Named::Value(Arc::clone(&value.value)));
        }
        if let Some(fact) = alias(&name).and_then(|name| self.table.id(&name)) {
            return Ok(self.fact(fact));
        }
        let named = self.vocabulary.values.iter().map(|(name, _)| name.as_str());
        let nearest = nearest(&name, self.table.names().chain(named).chain(["tier"])).map(str::to_owned);
        let first = name.split('.').next().unwrap_or_default();
        Err(ExpressionError { nearest, ..self.wrong_at(first, format!("`{name}` is not a fact")) })
    }

    fn fact(&mut self, fact: FactId) -> Named {
        self.facts.push(fact);
        Named::Fact(fact, self.table.kind(fact))
    }

    pub(super) fn mismatch(&mut self, one: &Tree, left: Kind, two: &Tree, right: Kind) -> ExpressionError {
        let (one, two) = (shown(one), shown(two));
        let message =
            format!("{one} is {} and {two} is {}: they are never compared", left.in_words(), right.in_words());
        let hint = match (left, right) {
            (Kind::Text, Kind::Number) | (Kind::Number, Kind::Text) => "; codes stand between quotation marks",
            _ => "",
        };
        self.wrong(message + hint)
    }

    pub(super) fn not(&mut self, tree: &Tree, wanted: &str) -> ExpressionError {
        match self.kind(tree) {
            Ok(kind) => self.wrong(format!("{} is {}, and {wanted} is wanted", shown(tree), kind.in_words())),
            Err(error) => error,
        }
    }

    pub(super) fn not_or_unknown(&mut self, call: &CallExpr, tree: &Tree, wanted: &str) -> ExpressionError {
        let name = call.func_name.as_str();
        if let Some(unknown) = self.unknown_function(name) {
            return unknown;
        }
        match name {
            op::INDEX | op::OPT_INDEX | op::OPT_SELECT => self.wrong("lists, maps and fields are no part of this"),
            _ if !is_operator(name) && self.kind(tree).is_ok_and(|kind| kind.in_words() == wanted) => self.wrong_at(
                name,
                format!("`{name}()` is called with {} values, which it does not take", call.args.len()),
            ),
            _ => self.not(tree, wanted),
        }
    }

    /// What is wrong with the name of a function that there is not, with the nearest that there is.
    pub(super) fn unknown_function(&self, name: &str) -> Option<ExpressionError> {
        if is_operator(name) || FUNCTIONS.contains(&name) {
            return None;
        }
        let nearest = nearest(name, FUNCTIONS).map(str::to_owned);
        Some(ExpressionError { nearest, ..self.wrong_at(name, format!("there is no function `{name}`")) })
    }

    /// A text where something greater or less is asked for, beside what may be a number.
    pub(super) fn unordered(&self, text: &Tree) -> ExpressionError {
        let text = shown(text);
        self.wrong(format!("{text} is a text, and texts have no order here; a number stands without quotation marks"))
    }
}

/// Whether the parser calls a sign so, or `has`, which it knows under a name of ours.
fn is_operator(name: &str) -> bool {
    name.starts_with(['_', '!', '-', '@'])
}

/// A part in a message's words.
fn shown(tree: &Tree) -> String {
    match &tree.expr {
        Expr::Literal(LiteralValue::String(text)) => format!("`\"{}\"`", text.inner()),
        Expr::Literal(LiteralValue::Int(number)) => format!("`{}`", number.inner()),
        Expr::Literal(LiteralValue::Double(number)) => format!("`{}`", number.inner()),
        Expr::Literal(LiteralValue::Boolean(flag)) => format!("`{}`", flag.inner()),
        Expr::Call(call) if call.func_name.starts_with(char::is_alphabetic) => format!("`{}()`", call.func_name),
        _ => dotted(tree).map_or_else(|| String::from("a part"), |name| format!("`{name}`")),
    }
}

fn dotted(tree: &Tree) -> Option<String> {
    match &tree.expr {
        Expr::Ident(name) => Some(name.clone()),
        Expr::Select(select) if !select.test => Some(format!("{}.{}", dotted(&select.operand)?, select.field)),
        _ => None,
    }
}

/// `tier` and the built-in facts in the spelling of CEL's own examples, as `userTier`.
fn alias(name: &str) -> Option<String> {
    match name {
        "tier" => return Some(String::from("user_tier")),
        "tag" => return Some(String::from("tags")),
        "inventory" => return Some(String::from("stock_level")),
        _ => {}
    }
    if !name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return None;
    }
    let snake = name.chars().fold(String::new(), |mut snake, c| {
        if c.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(c.to_ascii_lowercase());
        snake
    });
    Some(snake)
}

//! From the parser's tree to typed nodes: names to facts, types checked, patterns compiled.

use std::sync::Arc;

use cel::common::ast::operators as op;
use cel::common::ast::{CallExpr, Expr, LiteralValue};
use cel::parser::Expression as Tree;
use rust_decimal::Decimal;

use super::super::fact::{FactId, FactKind};
use super::super::fact_table::FactTable;
use super::super::number::number;
use super::super::word::nearest;
use super::fence::{HAS, error};
use super::node::{Affix, Comparison, Factor, Sign, Test, Text, Value};
use super::{Expression, ExpressionError, Parsed, Vocabulary};

/// A pattern may take this much memory when compiled.
const LARGEST_PATTERN: usize = 16 << 10;
pub(super) type Compiled<T> = Result<T, ExpressionError>;

/// What a part of an expression is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Test,
    Number,
    Text,
    /// A text that may be a number: what it is compared with says.
    Open,
    Tags,
    List,
}

impl Kind {
    pub(super) const fn in_words(self) -> &'static str {
        match self {
            Kind::Test => "true or false",
            Kind::Number => "a number",
            Kind::Text => "a text",
            Kind::Open => "a text or a number",
            Kind::Tags => "a set of tags",
            Kind::List => "a list",
        }
    }

    const fn is_number(self) -> bool {
        matches!(self, Kind::Number | Kind::Open)
    }

    const fn is_text(self) -> bool {
        matches!(self, Kind::Text | Kind::Open)
    }
}

/// What a name stands for.
pub(super) enum Named {
    Fact(FactId, FactKind),
    Value(Arc<Value>),
}

pub(super) struct Compiler<'c> {
    parsed: &'c Parsed,
    pub(super) table: &'c mut FactTable,
    pub(super) vocabulary: &'c Vocabulary,
    pub(super) facts: Vec<FactId>,
    /// The named values, which an explanation shows beside the facts.
    pub(super) named: Vec<(Box<str>, Arc<Value>)>,
}

impl<'c> Compiler<'c> {
    pub(super) fn new(parsed: &'c Parsed, table: &'c mut FactTable, vocabulary: &'c Vocabulary) -> Compiler<'c> {
        Compiler { parsed, table, vocabulary, facts: Vec::new(), named: Vec::new() }
    }

    pub(super) fn whole_test(&mut self) -> Compiled<Test> {
        self.test(&self.parsed.tree)
    }

    pub(super) fn whole_value(&mut self) -> Compiled<Value> {
        self.value(&self.parsed.tree)
    }

    /// The facts that were named, once what was compiled is within the bounds.
    pub(super) fn finish(mut self, depth: usize, steps: u64) -> Compiled<(Box<[FactId]>, u64)> {
        let all = 0..self.parsed.source().len();
        if depth > Expression::DEEPEST {
            return Err(error(all, format!("nested {depth} deep; {} is the deepest", Expression::DEEPEST)));
        }
        if steps > Expression::MOST_STEPS {
            let message = format!("may take {steps} steps; {} is the most", Expression::MOST_STEPS);
            return Err(error(all, message));
        }
        self.facts.sort_unstable();
        self.facts.dedup();
        Ok((self.facts.into_boxed_slice(), steps))
    }

    pub(super) fn wrong(&self, message: impl Into<String>) -> ExpressionError {
        error(0..self.parsed.source().len(), message)
    }

    pub(super) fn wrong_at(&self, word: &str, message: impl Into<String>) -> ExpressionError {
        error(self.parsed.place(word), message)
    }

    pub(super) fn kind(&mut self, tree: &Tree) -> Compiled<Kind> {
        match &tree.expr {
            Expr::Literal(LiteralValue::Boolean(_)) => Ok(Kind::Test),
            Expr::Literal(LiteralValue::Int(_) | LiteralValue::Double(_)) => Ok(Kind::Number),
            Expr::Literal(LiteralValue::String(_)) => Ok(Kind::Text),
            Expr::List(_) => Ok(Kind::List),
            Expr::Call(call) => match call.func_name.as_str() {
                op::CONDITIONAL => match self.kind(&call.args[1])? {
                    Kind::Open => self.kind(&call.args[2]),
                    kind => Ok(kind),
                },
                op::ADD | op::SUBSTRACT | op::MULTIPLY | op::DIVIDE | op::MODULO | op::NEGATE => Ok(Kind::Number),
                "size" | "discountByTier" | "tagScore" | "applyPromo" => Ok(Kind::Number),
                "header" | "query" => Ok(Kind::Open),
                op::INDEX | op::OPT_INDEX | op::OPT_SELECT => {
                    Err(self.wrong("lists, maps and fields are no part of this"))
                }
                name => self.unknown_function(name).map_or(Ok(Kind::Test), Err),
            },
            _ => Ok(match self.named(tree)? {
                Named::Value(_) => Kind::Number,
                Named::Fact(_, FactKind::Number) => Kind::Number,
                Named::Fact(_, FactKind::Tags) => Kind::Tags,
                Named::Fact(_, FactKind::Open) => Kind::Open,
                Named::Fact(..) => Kind::Text,
            }),
        }
    }

    fn test(&mut self, tree: &Tree) -> Compiled<Test> {
        match &tree.expr {
            Expr::Literal(LiteralValue::Boolean(literal)) => Ok(Test::Literal(*literal.inner())),
            Expr::Call(call) => self.test_call(call, tree),
            _ => Err(self.not(tree, "true or false")),
        }
    }

    fn test_call(&mut self, call: &CallExpr, tree: &Tree) -> Compiled<Test> {
        let (name, args) = (call.func_name.as_str(), call.args.as_slice());
        let negated = |test| Test::Not(Box::new(test));
        match (name, args) {
            (op::LOGICAL_AND, _) => Ok(Test::All(self.chain(tree, op::LOGICAL_AND)?)),
            (op::LOGICAL_OR, _) => Ok(Test::Any(self.chain(tree, op::LOGICAL_OR)?)),
            (op::LOGICAL_NOT, [part]) => self.test(part).map(negated),
            (op::CONDITIONAL, [test, yes, no]) => {
                Ok(Test::If(Box::new([self.test(test)?, self.test(yes)?, self.test(no)?])))
            }
            (op::EQUALS, [one, two]) => self.equal(one, two),
            (op::NOT_EQUALS, [one, two]) => self.equal(one, two).map(negated),
            (op::LESS, [one, two]) => self.compare(one, Comparison::Less, two),
            (op::LESS_EQUALS, [one, two]) => self.compare(one, Comparison::LessOrEqual, two),
            (op::GREATER, [one, two]) => self.compare(one, Comparison::Greater, two),
            (op::GREATER_EQUALS, [one, two]) => self.compare(one, Comparison::GreaterOrEqual, two),
            (op::IN, [one, list]) => self.is_in(one, list),
            (HAS, [fact]) => match self.named(fact)? {
                Named::Fact(fact, kind) => Ok(Test::Has(fact, kind)),
                Named::Value(_) => Err(self.wrong_at("has", "`has()` takes a fact")),
            },
            ("startsWith" | "endsWith" | "contains" | "matches", _) => self.text_call(call),
            ("isInStock", [stock]) => {
                let least = Value::Literal(self.vocabulary.functions.in_stock);
                Ok(Test::InStock(self.value(stock)?, least))
            }
            ("isInStock", [stock, least]) => Ok(Test::InStock(self.value(stock)?, self.value(least)?)),
            _ => Err(self.not_or_unknown(call, tree, "true or false")),
        }
    }

    /// The parts of a chain of one operator; the parser balances it, and it is one level all the same.
    fn chain(&mut self, tree: &Tree, operator: &str) -> Compiled<Vec<Test>> {
        match &tree.expr {
            Expr::Call(call) if call.func_name == operator => {
                let mut parts = Vec::new();
                for part in &call.args {
                    parts.extend(self.chain(part, operator)?);
                }
                Ok(parts)
            }
            _ => self.test(tree).map(|test| vec![test]),
        }
    }

    fn equal(&mut self, one: &Tree, two: &Tree) -> Compiled<Test> {
        match (self.kind(one)?, self.kind(two)?) {
            (Kind::Test, Kind::Test) => Ok(Test::Same(Box::new([self.test(one)?, self.test(two)?]))),
            (Kind::Number, kind) | (kind, Kind::Number) if kind.is_number() => {
                Ok(Test::Compare(self.value(one)?, Comparison::Equal, self.value(two)?))
            }
            (left, right) if left.is_text() && right.is_text() => {
                let (one, two) = (self.text(one)?, self.text(two)?);
                self.same_codes(one, two).map(|(one, two)| Test::Equal(one, two))
            }
            (left, right) => Err(self.mismatch(one, left, two, right)),
        }
    }

    fn compare(&mut self, one: &Tree, comparison: Comparison, two: &Tree) -> Compiled<Test> {
        match (self.kind(one)?, self.kind(two)?) {
            (left, right) if left.is_number() && right.is_number() => {
                Ok(Test::Compare(self.value(one)?, comparison, self.value(two)?))
            }
            (Kind::Text, Kind::Text) => Err(self.wrong("texts have no order here; compare them with `==` or `in`")),
            (Kind::Open, Kind::Text) => Err(self.unordered(two)),
            (Kind::Text, Kind::Open) => Err(self.unordered(one)),
            (left, right) => Err(self.mismatch(one, left, two, right)),
        }
    }

    fn is_in(&mut self, one: &Tree, list: &Tree) -> Compiled<Test> {
        let Expr::List(list) = &list.expr else {
            return match self.named(list) {
                Ok(Named::Fact(fact, FactKind::Tags)) => Ok(Test::HasTag(self.text(one)?, fact)),
                Err(unknown) if unknown.nearest.is_some() => Err(unknown),
                _ => Err(self.wrong("`in` takes a list, as [\"1001\", \"1002\"], or `tags`")),
            };
        };
        let kind = self.kind(one)?;
        let mut numbers = 0;
        for item in &list.elements {
            match self.kind(item)? {
                Kind::Number if kind.is_number() => numbers += 1,
                Kind::Text if kind.is_text() => {}
                other => return Err(self.mismatch(one, kind, item, other)),
            }
        }
        if numbers > 0 && numbers < list.elements.len() {
            return Err(self.wrong("a list holds texts or numbers, not both"));
        }
        if numbers > 0 {
            let items = list.elements.iter().map(|item| self.value(item)).collect::<Compiled<Vec<_>>>()?;
            return Ok(Test::ValueIn(self.value(one)?, items.into()));
        }
        let one = self.text(one)?;
        let items = list.elements.iter().map(|item| self.text(item)).collect::<Compiled<Vec<_>>>()?;
        let (one, items) = self.codes_in(one, items)?;
        Ok(Test::TextIn(one, items.into()))
    }

    /// `text.startsWith(part)` and its like; the text may stand before the dot or as the first argument.
    fn text_call(&mut self, call: &CallExpr) -> Compiled<Test> {
        let name = call.func_name.as_str();
        let all: Vec<&Tree> = call.target.as_deref().into_iter().chain(&call.args).collect();
        let [text, part] = all.as_slice() else {
            return Err(self.wrong_at(name, format!("`{name}` is written `text.{name}(\"...\")`")));
        };
        let text = self.text(text)?;
        let affix = match name {
            "startsWith" => Affix::Prefix,
            "endsWith" => Affix::Suffix,
            "contains" => Affix::Inside,
            _ => {
                let Expr::Literal(LiteralValue::String(pattern)) = &part.expr else {
                    let message = "`matches` takes a pattern between quotation marks: it is compiled once, when loaded";
                    return Err(self.wrong_at(name, message));
                };
                return self.pattern(pattern.inner()).map(|pattern| Test::Matches(text, pattern));
            }
        };
        Ok(Test::Affix(affix, text, self.text(part)?))
    }

    fn pattern(&self, pattern: &str) -> Compiled<regex::Regex> {
        let built = regex::RegexBuilder::new(pattern).size_limit(LARGEST_PATTERN).dfa_size_limit(1 << 20).build();
        built.map_err(|error| {
            let message = match error {
                regex::Error::CompiledTooBig(_) => String::from("the pattern is too large when compiled"),
                error => {
                    let text = error.to_string();
                    let cause = text.lines().last().unwrap_or_default().trim_start_matches("error: ");
                    format!("`{pattern}` is no regular expression: {cause}")
                }
            };
            self.wrong_at("matches", message)
        })
    }

    pub(super) fn value(&mut self, tree: &Tree) -> Compiled<Value> {
        match &tree.expr {
            Expr::Literal(LiteralValue::Int(literal)) => Ok(Value::Literal(Decimal::from(*literal.inner()))),
            // The shortest text of a float of 15 digits is the text that was written.
            Expr::Literal(LiteralValue::Double(literal)) => {
                let written = literal.inner().to_string();
                number(&written).map(Value::Literal).ok_or_else(|| self.wrong(format!("`{written}` is no number")))
            }
            Expr::Call(call) => self.value_call(call, tree),
            Expr::Literal(_) | Expr::List(_) => Err(self.not(tree, "a number")),
            _ => match self.named(tree)? {
                Named::Value(value) => Ok(Value::Named(value)),
                Named::Fact(fact, FactKind::Number | FactKind::Open) => Ok(Value::Fact(fact)),
                Named::Fact(..) => Err(self.not(tree, "a number")),
            },
        }
    }

    fn value_call(&mut self, call: &CallExpr, tree: &Tree) -> Compiled<Value> {
        let functions = &self.vocabulary.functions;
        match (call.func_name.as_str(), call.args.as_slice()) {
            (op::ADD | op::SUBSTRACT, _) => Ok(Value::Sum(self.sum(tree)?)),
            (op::MULTIPLY | op::DIVIDE | op::MODULO, _) => Ok(Value::Product(self.product(tree)?)),
            (op::NEGATE, [part]) => Ok(Value::Negated(Box::new(self.value(part)?))),
            (op::CONDITIONAL, [test, yes, no]) => {
                Ok(Value::If(Box::new((self.test(test)?, self.value(yes)?, self.value(no)?))))
            }
            ("header" | "query", _) => match self.named(tree)? {
                Named::Fact(fact, _) => Ok(Value::Fact(fact)),
                Named::Value(value) => Ok(Value::Named(value)),
            },
            ("size", [set]) => Ok(Value::TagCount(self.tags(set, "size")?)),
            ("tagScore", [set]) => {
                let scores = Arc::clone(&functions.tag_scores);
                Ok(Value::TagScore(self.tags(set, "tagScore")?, scores))
            }
            ("discountByTier", [tier]) => {
                let discounts = Arc::clone(&functions.discounts);
                Ok(Value::Discount(self.text(tier)?, discounts))
            }
            ("applyPromo", [price, name]) => {
                let promotions = Arc::clone(&functions.promotions);
                if let Expr::Literal(LiteralValue::String(literal)) = &name.expr
                    && !promotions.contains_key(literal.inner())
                {
                    let message = format!("there is no promotion `{}`", literal.inner());
                    let nearest = nearest(literal.inner(), promotions.keys().map(String::as_str)).map(str::to_owned);
                    return Err(ExpressionError { nearest, ..self.wrong_at("applyPromo", message) });
                }
                Ok(Value::Promoted(Box::new(self.value(price)?), self.text(name)?, promotions))
            }
            _ => Err(self.not_or_unknown(call, tree, "a number")),
        }
    }

    fn sum(&mut self, tree: &Tree) -> Compiled<Vec<(Sign, Value)>> {
        if let Expr::Call(CallExpr { func_name, args, .. }) = &tree.expr
            && let ([one, two], op::ADD | op::SUBSTRACT) = (args.as_slice(), func_name.as_str())
        {
            let mut parts = self.sum(one)?;
            let sign = if func_name == op::ADD { Sign::Plus } else { Sign::Minus };
            parts.push((sign, self.value(two)?));
            return Ok(parts);
        }
        Ok(vec![(Sign::Plus, self.value(tree)?)])
    }

    fn product(&mut self, tree: &Tree) -> Compiled<Vec<(Factor, Value)>> {
        if let Expr::Call(CallExpr { func_name, args, .. }) = &tree.expr
            && let ([one, two], op::MULTIPLY | op::DIVIDE | op::MODULO) = (args.as_slice(), func_name.as_str())
        {
            let mut parts = self.product(one)?;
            let factor = match func_name.as_str() {
                op::MULTIPLY => Factor::Times,
                op::DIVIDE => Factor::By,
                _ => Factor::Rest,
            };
            parts.push((factor, self.value(two)?));
            return Ok(parts);
        }
        Ok(vec![(Factor::Times, self.value(tree)?)])
    }

    fn text(&mut self, tree: &Tree) -> Compiled<Text> {
        match &tree.expr {
            Expr::Literal(LiteralValue::String(literal)) => Ok(Text::Literal(literal.inner().into())),
            Expr::Call(CallExpr { func_name, args, .. }) if func_name == op::CONDITIONAL => {
                let [test, yes, no] = args.as_slice() else { return Err(self.not(tree, "a text")) };
                Ok(Text::If(Box::new((self.test(test)?, self.text(yes)?, self.text(no)?))))
            }
            Expr::Call(call) if !matches!(call.func_name.as_str(), "header" | "query") => {
                Err(self.not_or_unknown(call, tree, "a text"))
            }
            Expr::Literal(_) | Expr::List(_) => Err(self.not(tree, "a text")),
            _ => match self.named(tree)? {
                Named::Fact(_, FactKind::Number | FactKind::Tags) | Named::Value(_) => Err(self.not(tree, "a text")),
                Named::Fact(fact, kind) => Ok(Text::Fact(fact, kind)),
            },
        }
    }
}

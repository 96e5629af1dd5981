//! The reasoning in one line of plain characters, for a field of an answer.

use std::fmt::{self, Display};

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use super::trace::{ConditionTrace, FactTrace, LevelTrace, Reasoning};

/// What ends an item, what encodes, and what a field may not hold.
const ENCODED: &AsciiSet = &CONTROLS.add(b';').add(b'%');
/// The longest value that is told; the rest of it is left out.
const LONGEST_VALUE: usize = 120;
/// Stands where the rest was left out.
const CUT: &str = "...";

impl Reasoning {
    /// `name=value` items with `; ` between them, the decision first and facts last; at most `most` bytes of visible ASCII
    /// and spaces. Other characters, `;` and `%` are percent-encoded; what does not fit is left out, and `...` tells that.
    pub fn one_line(&self, most: usize) -> String {
        let mut line = Line { text: String::new(), most, full: false };
        line.item("lane", &self.lane);
        line.item("level", self.level);
        line.item("reason", self.reason);
        if let Some(decided) = &self.decided {
            line.item("decided", format_args!("{} {} {}", decided.lane, decided.level, decided.reason));
        }
        line.optional("qos", self.qos);
        line.item("route", &self.route);
        line.optional("upstream", self.upstream.as_deref());
        line.optional("breaker", self.breaker.as_ref().map(|breaker| format!("{} {}", breaker.lane, breaker.state)));
        line.optional("release", self.release.as_deref());
        line.optional("bucket", self.bucket);
        line.optional("key", self.key.as_ref().map(|key| format!("{} {} salt {}", key.fact, key.value, key.salt)));
        if let Some(mark) = &self.mark {
            line.item("mark", format_args!("{} {}", mark.lane, if mark.counts { "counts" } else { "ignored" }));
        }
        if self.latched {
            line.item("latched", "yes");
        }
        self.levels.iter().for_each(|level| line.level(level));
        self.conditions.iter().for_each(|condition| line.condition(condition));
        for value in &self.values {
            line.item(&format!("value.{}", value.name), value.value.as_deref().or(value.why.as_deref()).unwrap_or("-"));
        }
        for strategy in self.composite.iter().flat_map(|composite| &composite.strategies) {
            let word = if strategy.chosen { "chosen" } else { "not chosen" };
            let told = format_args!("{word}: {} against {}", strategy.score, strategy.threshold);
            line.item(&format!("strategy.{}", strategy.name), told);
        }
        self.facts.iter().for_each(|(name, fact)| line.fact(name, fact));
        line.text
    }
}

struct Line {
    text: String,
    most: usize,
    full: bool,
}

impl Line {
    fn item(&mut self, name: &str, value: impl Display) {
        if self.full {
            return;
        }
        let value = value.to_string();
        let end = value.char_indices().nth(LONGEST_VALUE).map_or(value.len(), |(end, _)| end);
        let cut = if end < value.len() { CUT } else { "" };
        let separator = if self.text.is_empty() { "" } else { "; " };
        let item = format!("{separator}{}={}{cut}", plain(name), plain(&value[..end]));
        // There is always room left to say that something was left out.
        let room = self.most.saturating_sub(self.text.len() + CUT.len() + 2);
        self.full = item.len() > room;
        match self.full {
            false => self.text.push_str(&item),
            true if self.text.is_empty() => {}
            true => {
                self.text.push_str("; ");
                self.text.push_str(CUT);
            }
        }
    }

    fn optional(&mut self, name: &str, value: Option<impl Display>) {
        if let Some(value) = value {
            self.item(name, value);
        }
    }

    fn level(&mut self, trace: &LevelTrace) {
        let word = match (trace.open, trace.hit) {
            (false, _) => "closed",
            (_, true) => "hit",
            (_, false) => "miss",
        };
        self.item(trace.level.as_str(), format_args!("{word}: {}", trace.why));
    }

    fn condition(&mut self, condition: &ConditionTrace) {
        let word = |holds: &bool| if *holds { "yes" } else { "no" };
        match condition {
            ConditionTrace::Test(test) => {
                let wanted: Vec<String> = test.wanted.iter().map(ToString::to_string).collect();
                let actual = test.actual.as_deref().unwrap_or("absent");
                let told = format_args!(
                    "{}: {} {} {}, is {actual}",
                    word(&test.holds),
                    test.key,
                    test.operator,
                    wanted.join(",")
                );
                self.item("condition", told);
            }
            ConditionTrace::Expression(one) => {
                self.item("condition", format_args!("{}: {}", word(&one.holds), one.expression));
            }
            ConditionTrace::All { holds, all: parts } | ConditionTrace::Any { holds, any: parts } => {
                let group = if matches!(condition, ConditionTrace::All { .. }) { "all" } else { "any" };
                self.item("condition", format_args!("{}: {group} of {}", word(holds), parts.len()));
                parts.iter().for_each(|part| self.condition(part));
            }
            ConditionTrace::Not { holds, not } => {
                self.item("condition", format_args!("{}: not", word(holds)));
                self.condition(not);
            }
        }
    }

    fn fact(&mut self, name: &str, fact: &FactTrace) {
        let told = match (&fact.value, &fact.source) {
            (Some(value), Some(source)) => format!("{value} from {source}"),
            (Some(value), None) => value.clone(),
            (None, _) if fact.tried.is_empty() => String::from("-"),
            (None, _) => {
                let tried: Vec<String> = fact.tried.iter().map(|one| format!("{}: {}", one.source, one.why)).collect();
                format!("- ({})", tried.join(", "))
            }
        };
        self.item(name, told);
    }
}

fn plain(text: &str) -> impl fmt::Display {
    utf8_percent_encode(text, ENCODED)
}

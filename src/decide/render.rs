//! The reasoning for people: short lines, aligned.

use std::fmt::{self, Display, Write as _};

use super::trace::{CompositeTrace, ConditionTrace, FactTrace, LevelTrace, Reasoning, StrategyTrace};

impl Display for Reasoning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "lane     {}", self.lane)?;
        writeln!(f, "level    {}", self.level)?;
        writeln!(f, "reason   {}: {}", self.reason, self.reason.in_words())?;
        if let Some(decided) = &self.decided {
            writeln!(f, "decided  {}, {}: {}", decided.lane, decided.reason, decided.reason.in_words())?;
        }
        if let Some(qos) = self.qos {
            writeln!(f, "qos      {qos}")?;
        }
        writeln!(f, "route    {}", self.route)?;
        if let Some(upstream) = &self.upstream {
            writeln!(f, "upstream {}", plain(upstream))?;
        }
        if let Some(breaker) = &self.breaker {
            writeln!(f, "breaker  {} ({})", breaker.state, plain(&breaker.lane))?;
        }
        writeln!(f, "release  {}", self.release.as_deref().unwrap_or("-"))?;
        match (&self.bucket, &self.key) {
            (Some(bucket), Some(key)) => {
                writeln!(f, "bucket   {bucket} (salt {}, {} {})", key.salt, key.fact, plain(&key.value))?;
            }
            _ => writeln!(f, "bucket   -")?,
        }
        self.earlier_voices(f)?;
        self.write_levels(f)?;
        self.write_conditions(f)?;
        self.write_values(f)?;
        self.write_composite(f)?;
        self.write_facts(f)
    }
}

impl Reasoning {
    fn earlier_voices(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(mark) = &self.mark {
            let word = if mark.counts { "counts" } else { "ignored" };
            writeln!(f, "mark     {} {word}: {}", plain(&mark.lane), mark.why)?;
        }
        if let Some(subject) = self.overridden.as_ref().and_then(|token| token.subject.as_ref()) {
            writeln!(f, "override given to {}", plain(subject))?;
        }
        if self.latched {
            writeln!(f, "latched  yes")?;
        }
        Ok(())
    }

    fn write_levels(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.levels.is_empty() {
            return Ok(());
        }
        writeln!(f, "\nlevels")?;
        let rows = self.levels.iter().map(|LevelTrace { level, open, hit, why, .. }| {
            let word = match (open, hit) {
                (false, _) => "closed",
                (_, true) => "hit",
                (_, false) => "miss",
            };
            [level.to_string(), word.to_owned(), why.clone()]
        });
        write_rows(f, rows.collect())
    }

    fn write_conditions(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.conditions.is_empty() {
            return Ok(());
        }
        writeln!(f, "\nconditions {}", if self.conditions_hold { "hold" } else { "do not hold" })?;
        let mut rows = Vec::new();
        self.conditions.iter().for_each(|condition| condition_rows(condition, 0, &mut rows));
        write_rows(f, rows)
    }

    fn write_values(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.values.is_empty() {
            return Ok(());
        }
        writeln!(f, "\nvalues")?;
        let rows = self.values.iter().map(|value| {
            let shown = value.value.as_deref().or(value.why.as_deref()).unwrap_or("-");
            [value.name.clone(), plain(shown), plain(&value.expression)]
        });
        write_rows(f, rows.collect())
    }

    fn write_composite(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(composite) = &self.composite else { return Ok(()) };
        writeln!(f, "\nstrategies{}", composite.skipped.as_ref().map(|why| format!(": {why}")).unwrap_or_default())?;
        let mut rows = composite.strategies.iter().map(|one| strategy_row(one, composite)).collect::<Vec<_>>();
        if let Some(listed) = &composite.whitelist {
            rows.insert(
                0,
                [
                    String::from("whitelist"),
                    String::from("chosen"),
                    format!("{} has lane {}", plain(&listed.sku), listed.lane),
                ],
            );
        }
        write_rows(f, rows)
    }

    fn write_facts(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.facts.is_empty() {
            return Ok(());
        }
        writeln!(f, "\nfacts")?;
        let rows = self
            .facts
            .iter()
            .map(|(name, fact)| [name.clone(), fact.value.as_deref().map_or("-".into(), plain), provenance(fact)]);
        write_rows(f, rows.collect())
    }
}

fn condition_rows(condition: &ConditionTrace, depth: usize, rows: &mut Vec<[String; 3]>) {
    let indent = "  ".repeat(depth);
    let group = |word: &str, holds: bool| [format!("{indent}{word}"), yes_no(holds), String::new()];
    match condition {
        ConditionTrace::Test(test) => {
            let wanted: Vec<String> = test.wanted.iter().map(|value| plain(&value.to_string())).collect();
            let actual = test.actual.as_deref().map_or("absent".into(), plain);
            let test_text = format!("{indent}{} {} {}", test.key, test.operator, wanted.join(", "));
            rows.push([test_text.trim_end().to_owned(), yes_no(test.holds), actual]);
        }
        ConditionTrace::Expression(expression) => {
            rows.push([format!("{indent}{}", plain(&expression.expression)), yes_no(expression.holds), String::new()]);
            if let Some(why) = &expression.why {
                rows.push([format!("{indent}  {}", plain(why)), String::new(), String::new()]);
            }
            for (name, value) in &expression.actual {
                let value = value.as_deref().map_or("absent".into(), plain);
                rows.push([format!("{indent}  {name}"), String::new(), value]);
            }
        }
        ConditionTrace::All { holds, all: parts } | ConditionTrace::Any { holds, any: parts } => {
            let word = if matches!(condition, ConditionTrace::All { .. }) { "all" } else { "any" };
            rows.push(group(word, *holds));
            parts.iter().for_each(|part| condition_rows(part, depth + 1, rows));
        }
        ConditionTrace::Not { holds, not } => {
            rows.push(group("not", *holds));
            condition_rows(not, depth + 1, rows);
        }
    }
}

fn strategy_row(strategy: &StrategyTrace, composite: &CompositeTrace) -> [String; 3] {
    let word = match (strategy.chosen, strategy.over) {
        (true, _) => "chosen",
        (false, true) => "over",
        (false, false) => "below",
    };
    let StrategyTrace { sku_term, tag_term, amount_term, score, share, threshold, .. } = strategy;
    let terms = format!(
        "{score} = sku {sku_term} + tags {tag_term} + amount {amount_term}, {share} of {}; threshold {threshold}, lane {}",
        composite.greatest, strategy.lane
    );
    [strategy.name.clone(), word.to_owned(), terms]
}

fn yes_no(holds: bool) -> String {
    String::from(if holds { "yes" } else { "no" })
}

fn provenance(fact: &FactTrace) -> String {
    if fact.value.is_none() && fact.tried.is_empty() {
        return String::from("no source");
    }
    let mut text = fact.source.clone().unwrap_or_default();
    for tried in &fact.tried {
        let separator = match (text.is_empty(), &fact.source) {
            (true, _) => "",
            (false, Some(_)) => ", after ",
            (false, None) => "; ",
        };
        let _ = write!(text, "{separator}{}: {}", tried.source, tried.why);
    }
    text
}

/// A value as it may stand on a terminal: no control characters.
fn plain(text: &str) -> String {
    text.chars().flat_map(|c| if c.is_control() { c.escape_default().collect::<Vec<_>>() } else { vec![c] }).collect()
}

/// Rows of three columns, the first two as wide as their widest cell (40 at most).
fn write_rows(f: &mut fmt::Formatter<'_>, rows: Vec<[String; 3]>) -> fmt::Result {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0).min(40);
    let (first, second) = (width(0), width(1));
    for [one, two, three] in &rows {
        let line = format!("  {one:first$}  {two:second$}  {three}");
        writeln!(f, "{}", line.trim_end())?;
    }
    Ok(())
}

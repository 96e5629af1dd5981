//! The drill in words: the live line, a line for each act, the table at the end.

use std::fmt::Write;
use std::time::Duration;

use super::act::{Act, Ends};
use super::crowd::Met;
use super::gauges::Held;
use super::play::Shown;

/// The line for a terminal.
pub(super) fn live(act: Act, state: &str, turned: Duration, [shielded, bare]: &[Met; 2]) -> String {
    format!(
        "  {} {state}  {:.1}s  failed: shielded {}, bare {}  slow: {}, {}",
        act.title(),
        turned.as_secs_f64(),
        shielded.failed,
        bare.failed,
        shielded.slow,
        bare.slow
    )
}

/// The line of an act that is over.
pub(super) fn line(shown: &Shown) -> String {
    let [shielded, bare] = shown.met;
    let opened = match shown.opened[0] {
        Some(opening) => format!(
            "gray's breaker opened after {} and {} gray requests ({})",
            seconds(opening.after),
            opening.gray_requests,
            opening.cause
        ),
        None => "gray's breaker did not open".to_owned(),
    };
    let end = match (shown.act.ends(), shown.back[0], shown.latched) {
        (Ends::Healed, Some(back), _) => format!("back {} after it healed", seconds(back)),
        (Ends::Healed, None, _) => "not back in time".to_owned(),
        (Ends::NothingLatched(_), _, None) => "nothing was rolled back".to_owned(),
        (_, _, Some(latched)) => format!("rolled back after {}", seconds(latched)),
        (Ends::Latched, _, None) => "not rolled back in time".to_owned(),
    };
    let mut line = format!(
        "{}: {opened}; failed for users: {} with the shield, {} without; {end}",
        shown.act.title(),
        shielded.failed,
        bare.failed
    );
    if let Some(verdict) = &shown.verdict {
        // Writing into a string cannot fail.
        let _ = write!(line, "; gray against stable: {verdict}");
    }
    if shielded.unsent + bare.unsent > 0 {
        // Writing into a string cannot fail.
        let _ = write!(line, "; {} visits not made, this machine is too busy", shielded.unsent + bare.unsent);
    }
    line
}

/// The table of all acts.
pub(super) fn table(all: &[Shown]) -> String {
    let head = ["act", "opened after / gray requests", "failed, shield on / off", "slow, on / off", "then"];
    let mut rows = vec![head.map(str::to_owned)];
    rows.extend(all.iter().map(row));
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths = [0, 1, 2, 3, 4].map(width);
    let mut text = String::new();
    for (at, row) in rows.iter().enumerate() {
        for (cell, width) in row.iter().zip(widths) {
            let _ = write!(text, "| {cell:<width$} ");
        }
        text.push_str("|\n");
        if at == 0 {
            widths.iter().for_each(|width| _ = write!(text, "|{}", "-".repeat(width + 2)));
            text.push_str("|\n");
        }
    }
    text
}

fn row(shown: &Shown) -> [String; 5] {
    let [shielded, bare] = shown.met;
    let opened = shown.opened[0];
    let end = match (shown.act.ends(), shown.back[0], shown.latched) {
        (Ends::Healed, Some(back), _) => format!("back after {}", seconds(back)),
        (Ends::Healed, None, _) => "not back".to_owned(),
        (_, _, Some(latched)) => format!("rolled back after {}", seconds(latched)),
        (_, _, None) => match shown.verdict.as_deref().and_then(|verdict| verdict.split_once(':')) {
            Some((word, _)) => format!("not rolled back: {word}"),
            None => "not rolled back".to_owned(),
        },
    };
    [
        shown.act.title().to_owned(),
        opened.map_or_else(|| "-".to_owned(), |it| format!("{} / {}", seconds(it.after), it.gray_requests)),
        format!("{} / {}", shielded.failed, bare.failed),
        format!("{} / {}", shielded.slow, bare.slow),
        end,
    ]
}

/// What is left when everybody has gone.
pub(super) fn left(before: Held, after: Held, under_way: f64) -> String {
    let figure = |of: fn(Held) -> Option<u64>| match (of(before), of(after)) {
        (Some(before), Some(after)) => format!("{before} before, {after} after"),
        _ => "not told by this system".to_owned(),
    };
    format!(
        "Left behind: {under_way} requests under way; descriptors {}; resident MiB {} (shops and users included)",
        figure(|held| held.descriptors.map(|count| count as u64)),
        figure(|held| held.resident_kib.map(|kib| kib / 1024)),
    )
}

fn seconds(time: Duration) -> String {
    format!("{:.2} s", time.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::super::play::Opening;
    use super::*;

    fn shown(act: Act) -> Shown {
        let met = |failed| Met { by_gray: 30, failed, slow: 2, unsent: 0 };
        let opening = Opening { after: Duration::from_millis(210), gray_requests: 11, cause: "error_rate" };
        let back = Some(Duration::from_millis(1_100));
        Shown { act, opened: [Some(opening); 2], met: [met(0), met(9)], back: [back; 2], latched: None, verdict: None }
    }

    #[test]
    fn the_table_has_a_row_for_each_act_under_its_head() {
        let both = Shown { opened: [None; 2], ..shown(Act::Both) };
        assert_eq!(
            table(&[shown(Act::Errors), both]),
            "\
| act                   | opened after / gray requests | failed, shield on / off | slow, on / off | then              |
|-----------------------|------------------------------|-------------------------|----------------|-------------------|
| 92 % of 500s          | 0.21 s / 11                  | 0 / 9                   | 2 / 2          | back after 1.10 s |
| both lanes fail alike | -                            | 0 / 9                   | 2 / 2          | not rolled back   |
"
        );
    }

    #[test]
    fn an_act_is_told_in_one_line() {
        assert_eq!(
            line(&shown(Act::Errors)),
            "92 % of 500s: gray's breaker opened after 0.21 s and 11 gray requests (error_rate); failed for users: 0 \
             with the shield, 9 without; back 1.10 s after it healed"
        );
        let stays = Shown { latched: Some(Duration::from_secs(4)), ..shown(Act::Stays) };
        assert!(line(&stays).ends_with("rolled back after 4.00 s"), "{}", line(&stays));
        let both = Shown { verdict: Some("not worse so far: errors".to_owned()), ..shown(Act::Both) };
        assert!(line(&both).ends_with("nothing was rolled back; gray against stable: not worse so far: errors"));
    }
}

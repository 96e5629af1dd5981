//! The report for people.

use std::fmt::Write as _;

use comfy_table::{CellAlignment, Table, presets};

use crate::replay::{Counted, Move, Report, Skipped};

/// Tables and the lines below them.
pub(super) fn render(report: &Report) -> String {
    let mut out = String::new();
    let _ = writeln!(out, "{}\n", summary(report));
    if report.moves.is_empty() {
        out.push_str("no request that is decidable changes its lane\n");
    } else {
        let _ = writeln!(out, "{}", moves(report));
    }
    skipped(&mut out, "not decidable", &report.undecided_kinds);
    skipped(&mut out, "not readable", &report.unreadable_kinds);
    if let Some(unlike) = &report.unlike_log {
        let _ = writeln!(
            out,
            "\n{} requests went to another lane than --from sends them to (first: {}): the log was written under \
             another configuration",
            grouped(unlike.lines),
            place(unlike)
        );
    }
    let error = report.distinct_standard_error * 100.0;
    let _ = writeln!(
        out,
        "\nusers, SKUs and categories are distinct counts: exact up to 1,024, beyond it estimates with a standard error \
         of {error:.2} %"
    );
    out
}

fn summary(report: &Report) -> Table {
    let mut table = bare();
    table.set_header(["", "requests", "users", "SKUs", "categories", "order amount"]);
    table.add_row(row("read", &report.seen));
    table.add_row(row("change lane", &report.changed));
    for (what, count) in [
        ("keep their lane", report.unchanged),
        ("not decidable", report.undecided),
        ("not readable", report.unreadable),
    ] {
        table.add_row([what.to_owned(), grouped(count)]);
    }
    align(&mut table, 1);
    table
}

fn moves(report: &Report) -> Table {
    let mut table = bare();
    table.set_header(["route", "release", "from", "to", "requests", "users", "SKUs", "categories", "order amount"]);
    for one in &report.moves {
        let Move { route_from, route_to, release_from, release_to, from, to, counted } = one;
        let mut cells = vec![change(route_from, route_to), change(release_from, release_to), from.clone(), to.clone()];
        cells.extend(row("", counted).into_iter().skip(1));
        table.add_row(cells);
    }
    align(&mut table, 4);
    table
}

fn skipped(out: &mut String, what: &str, kinds: &[Skipped]) {
    for kind in kinds {
        let _ = writeln!(out, "\n{what}: {} ({}), first {}", grouped(kind.lines), kind.reason, place(kind));
        let _ = writeln!(out, "  {}", kind.first.text);
    }
}

fn place(kind: &Skipped) -> String {
    format!("{}:{}", kind.first.input, kind.first.line)
}

fn change(from: &Option<String>, to: &Option<String>) -> String {
    let name = |name: &Option<String>| name.clone().unwrap_or_else(|| "-".to_owned());
    if from == to { name(from) } else { format!("{} -> {}", name(from), name(to)) }
}

fn row(what: &str, counted: &Counted) -> Vec<String> {
    let Counted { requests, users, skus, categories, amount } = counted;
    let mut cells = vec![what.to_owned()];
    cells.extend([*requests, *users, *skus, *categories].map(grouped));
    cells.push(amount.to_string());
    cells
}

/// Digits in threes.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

fn bare() -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table
}

fn align(table: &mut Table, first: usize) {
    for place in first..table.column_count() {
        if let Some(column) = table.column_mut(place) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::grouped;

    #[test]
    fn digits_come_in_threes() {
        for (number, expected) in [(0, "0"), (999, "999"), (1_000, "1,000"), (12_345_678, "12,345,678")] {
            assert_eq!(grouped(number), expected);
        }
    }
}

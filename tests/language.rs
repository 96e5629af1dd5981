//! Runs the example of every page of `docs/language`: the configuration against the table below it. So no page goes stale.

use std::path::{Path, PathBuf};

use graylane::config::{self, KeyFiles};
use graylane::decide::{Expression, Operator, Reasoning};
use graylane::extract::{ExplainRequest, Extractor, Surroundings, allow_encoded, explain};

/// What the pages leave out: every fact comes from a header of its name.
const AROUND: &str = "
version: 1
service: goods-core
trust: [127.0.0.0/8]
upstreams: { goods: { endpoints: [127.0.0.1:9001] } }
routes: [{ name: all, match: {}, lanes: { stable: goods, gray: goods }, release: example }]
facts:
";
const FACTS: [&str; 11] = [
    "user_id",
    "device_id",
    "sku_id",
    "category_id",
    "user_tier",
    "tags",
    "order_amount",
    "stock_level",
    "province_code",
    "city_id",
    "base_price",
];
/// Pages that are about nesting, expressions as such, and levels.
const OTHERS: [&str; 5] = ["any", "all", "not", "cel", "levels"];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/language")
}

/// The page of a function of expressions; CONTAINS is an operator as well.
fn function_page(function: &str) -> String {
    if function == "contains" { String::from("contains_in_cel") } else { function.to_lowercase() }
}

fn names() -> Vec<String> {
    let operators = Operator::NAMES.iter().map(|name| name.to_lowercase());
    operators.chain(Expression::FUNCTIONS.map(function_page)).chain(OTHERS.map(str::to_owned)).collect()
}

/// The configuration of a page, the columns of its table, and the rows.
struct Page {
    yaml: String,
    columns: Vec<String>,
    rows: Vec<Vec<String>>,
}

fn page(name: &str) -> Page {
    let text =
        std::fs::read_to_string(folder().join(format!("{name}.md"))).unwrap_or_else(|_| panic!("no page {name}"));
    let (_, rest) = text.split_once("```yaml\n").unwrap_or_else(|| panic!("{name} has no example"));
    let (yaml, rest) = rest.split_once("```").expect("an example ends");
    let cells = |line: &str| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect::<Vec<_>>();
    let mut table =
        rest.lines().skip_while(|line| !line.starts_with("| facts")).take_while(|line| line.starts_with('|'));
    let columns = cells(table.next().unwrap_or_else(|| panic!("{name} has no table")));
    Page { yaml: yaml.to_owned(), columns, rows: table.skip(1).map(cells).collect() }
}

fn load(yaml: &str) -> config::Loaded {
    let facts: String =
        FACTS.iter().map(|fact| format!("  {fact}: [{{ header: x-{} }}]\n", fact.replace('_', "-"))).collect();
    let text = format!("{AROUND}{facts}{yaml}");
    config::load_text(Path::new("/nowhere/page.yaml"), text.as_bytes(), KeyFiles::MayBeAbsent)
        .unwrap_or_else(|problems| panic!("{}", problems.iter().map(ToString::to_string).collect::<String>()))
}

fn ask(loaded: &config::Loaded, facts: &str) -> Reasoning {
    let mut headers = Vec::new();
    let mut query = String::new();
    for fact in facts.split(';').map(|fact| fact.trim().trim_matches('`')).filter(|fact| *fact != "none") {
        let (name, value) = fact.split_once('=').unwrap_or_else(|| panic!("`{fact}` is no fact"));
        match name.split_once(':') {
            Some(("query", name)) => query = format!("?{name}={value}"),
            Some((_, name)) => headers.push((name.to_owned(), value)),
            None => headers.push((format!("x-{}", name.replace('_', "-")), value)),
        }
    }
    let mut request = ExplainRequest::new("GET", &format!("/{query}")).expect("a request");
    for (name, value) in headers {
        request = request.with_header(&name, value).expect("a header");
    }
    let around = Surroundings { allow: allow_encoded(&loaded.settings), latched: &|_| false, now_unix: 0 };
    explain(&loaded.settings.program, &Extractor::of(&loaded.settings), &request, around).expect("a route")
}

fn said(column: &str, reasoning: &Reasoning) -> String {
    match column {
        "holds" => String::from(if reasoning.conditions_hold { "yes" } else { "no" }),
        "lane" => reasoning.lane.clone(),
        "level" => reasoning.level.to_string(),
        "reason" => reasoning.reason.to_string(),
        value => {
            let name = value.strip_prefix("value ").unwrap_or_else(|| panic!("no column `{value}`"));
            let value = reasoning.values.iter().find(|value| value.name == name).expect("the value of the page");
            value.value.clone().unwrap_or_else(|| String::from("-"))
        }
    }
}

#[test]
fn every_page_says_what_the_program_does() {
    for name in names() {
        let Page { yaml, columns, rows } = page(&name);
        let loaded = load(&yaml);
        assert!(columns.len() > 1 && rows.len() > 1, "{name} shows too little");
        for row in &rows {
            let reasoning = ask(&loaded, &row[0]);
            for (column, expected) in columns.iter().zip(row).skip(1) {
                assert_eq!(&said(column, &reasoning), expected, "{name}: {column} of {}", row[0]);
            }
        }
        // A table in which every row says the same would not tell a working example from a broken one.
        assert!(rows.iter().any(|row| row[1..] != rows[0][1..]), "{name} shows one case only");
    }
}

#[test]
fn every_page_is_run_and_listed() {
    let list = std::fs::read_to_string(folder().join("README.md")).expect("the list of pages");
    let names = names();
    for entry in std::fs::read_dir(folder()).expect("the pages") {
        let file = entry.expect("a page").file_name().into_string().expect("a plain name");
        let name = file.trim_end_matches(".md");
        assert!(name == "README" || names.iter().any(|known| known == name), "nobody runs {file}");
        assert!(name == "README" || list.contains(&format!("({file})")), "README.md does not list {file}");
    }
}

#[test]
fn the_pages_name_the_operators_and_functions_as_the_program_does() {
    for operator in Operator::NAMES {
        let Page { yaml, .. } = page(&operator.to_lowercase());
        assert!(yaml.contains(&format!("operator: {operator}")), "{operator}");
    }
    for function in Expression::FUNCTIONS {
        let Page { yaml, .. } = page(&function_page(function));
        assert!(yaml.contains(&format!("{function}(")), "{function}");
    }
}

//! The invariants of `ARCHITECTURE.md` that a machine can hold: who may use whom, what pure rooms must not touch, how long
//! a file may be. It reads the sources as text, so it says where to look rather than proving anything.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// A room and the rooms it may use. `lib.rs` and `main.rs` are no rooms; `app` alone wires everything together.
const ROOMS: &[(&str, &[&str])] = &[
    ("decide", &[]),
    ("resilience", &[]),
    ("evidence", &["decide"]),
    ("wire", &[]),
    ("tls", &[]),
    ("config", &["decide", "evidence", "resilience", "tls"]),
    ("live", &[]),
    ("beat", &[]),
    ("outbound", &[]),
    ("kubernetes", &["config", "outbound"]),
    ("source", &["config", "kubernetes", "outbound", "telemetry"]),
    ("latch", &["config", "telemetry"]),
    ("change", &["config", "decide"]),
    ("products", &["change", "config", "outbound", "telemetry"]),
    ("lookup", &["config", "outbound", "telemetry"]),
    ("extract", &["config", "decide", "lookup"]),
    ("upstream", &["beat", "config", "kubernetes", "telemetry", "tls", "wire"]),
    (
        "proxy",
        &[
            "beat",
            "config",
            "decide",
            "extract",
            "latch",
            "live",
            "lookup",
            "telemetry",
            "resilience",
            "tls",
            "trace",
            "upstream",
            "wire",
        ],
    ),
    ("telemetry", &["config", "decide", "evidence"]),
    ("trace", &["config", "decide", "outbound", "telemetry"]),
    ("admin", &["change", "config", "decide", "extract", "latch", "live", "source", "telemetry", "upstream"]),
    (
        "app",
        &[
            "admin",
            "beat",
            "change",
            "config",
            "decide",
            "evidence",
            "extract",
            "latch",
            "live",
            "lookup",
            "outbound",
            "products",
            "proxy",
            "resilience",
            "source",
            "telemetry",
            "tls",
            "trace",
            "upstream",
            "wire",
        ],
    ),
    ("inject", &["config", "kubernetes", "outbound"]),
    ("replay", &["config", "decide", "extract"]),
    ("cli", &["app", "change", "config", "decide", "extract", "inject", "lookup", "outbound", "replay", "source"]),
];

/// Rooms that compute and nothing else, with what would give them away.
const PURE: &[&str] = &["decide", "resilience", "evidence"];
/// Files that compute and nothing else, in rooms that otherwise touch the world.
const PURE_FILES: &[&str] = &[
    "change/difference.rs",
    "change/effect.rs",
    "change/opening.rs",
    "change/plan.rs",
    "inject/annotations.rs",
    "inject/difference.rs",
    "inject/manifest.rs",
    "inject/pod.rs",
    "inject/ports.rs",
    "inject/quantity.rs",
    "inject/review.rs",
    "inject/sidecar.rs",
    "inject/transform.rs",
    "kubernetes/slice.rs",
    "upstream/balance.rs",
    "upstream/ejection.rs",
    "upstream/ewma.rs",
    "upstream/health.rs",
    "upstream/moment.rs",
    "upstream/roster.rs",
    "upstream/slow_start.rs",
];
const IMPURE: &[&str] = &[
    "Instant::now",
    "SystemTime",
    "Timestamp::now",
    "Zoned::now",
    "std::env",
    "env::var",
    "std::fs",
    "File::open",
    "TcpStream",
    "TcpListener",
    "UdpSocket",
    "tokio",
    "std::thread",
    "thread::spawn",
    "std::process",
    "use rand",
    "thread_rng",
    "RandomState",
    "getrandom",
    "println!",
    "eprintln!",
    "tracing::",
    "static mut",
    "thread_local!",
];

/// Names that say nothing of what is inside.
const EMPTY_NAMES: &[&str] = &["common", "util", "utils", "helper", "helpers", "types", "misc", "manager", "prelude"];

/// The longest file, tests not counted; at this length it is to be split along an idea.
const LONGEST_FILE: usize = 400;

/// A source file without its comments and its tests.
struct Source {
    path: PathBuf,
    room: String,
    lines: Vec<(usize, String)>,
    length: usize,
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn files_below(folder: &Path, wanted: &dyn Fn(&Path) -> bool, found: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> =
        fs::read_dir(folder).expect("a readable folder").map(|entry| entry.expect("an entry").path()).collect();
    entries.sort();
    for path in entries {
        let name = path.file_name().expect("an entry has a name").to_string_lossy().into_owned();
        if path.is_dir() {
            if name != "target" && name != ".git" {
                files_below(&path, wanted, found);
            }
        } else if wanted(&path) {
            found.push(path);
        }
    }
}

/// By its name, or because the module above declares it under `#[cfg(test)]`.
fn is_test_file(path: &Path) -> bool {
    let inside = path.strip_prefix(root()).expect("it was found there");
    let named = inside.components().any(|part| {
        let part = part.as_os_str().to_string_lossy();
        part == "tests" || part == "tests.rs" || part.ends_with("_tests.rs")
    });
    let stem = path.file_stem().expect("a file has a name").to_string_lossy();
    let above = path.parent().expect("it is in a folder").join("mod.rs");
    let declared = || fs::read_to_string(above).is_ok_and(|text| text.contains(&format!("#[cfg(test)]\nmod {stem};")));
    named || declared()
}

/// Every file of `src/` that is not a test.
fn sources() -> Vec<Source> {
    let src = root().join("src");
    let mut paths = Vec::new();
    files_below(&src, &|path| path.extension().is_some_and(|end| end == "rs"), &mut paths);
    let mut sources = Vec::new();
    for path in paths {
        let inside = path.strip_prefix(&src).expect("it was found there").to_owned();
        if is_test_file(&path) {
            continue;
        }
        let room = match inside.components().count() {
            1 => String::new(),
            _ => inside.components().next().expect("a path has parts").as_os_str().to_string_lossy().into_owned(),
        };
        let text = fs::read_to_string(&path).expect("sources are UTF-8");
        let lines = without_tests(&text);
        sources.push(Source { path: inside, room, length: lines.len(), lines });
    }
    assert!(sources.len() > 10, "the sources were not found");
    sources
}

/// The numbered lines of a file, less comments and the items under `#[cfg(test)]`, which end at a line that is indented as
/// they are and closes them.
fn without_tests(text: &str) -> Vec<(usize, String)> {
    let mut kept = Vec::new();
    let mut test_item: Option<usize> = None;
    for (number, line) in text.lines().enumerate() {
        let indent = line.len() - line.trim_start().len();
        let code = line.split("//").next().expect("split yields one part").trim_end();
        match test_item {
            Some(begun) if indent == begun && (code.ends_with(['}', ';'])) => test_item = None,
            Some(_) => {}
            None if code.trim() == "#[cfg(test)]" => test_item = Some(indent),
            None => kept.push((number + 1, code.to_owned())),
        }
    }
    kept
}

/// The names that follow `crate::` in a line, those in braces too.
fn rooms_named(line: &str) -> Vec<String> {
    let word = |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let mut named = Vec::new();
    for rest in line.split("crate::").skip(1) {
        let Some(list) = rest.strip_prefix('{') else {
            named.push(word(rest));
            continue;
        };
        let mut depth = 0;
        let mut start = true;
        for (at, c) in list.char_indices() {
            match c {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                ',' if depth == 0 => start = true,
                c if start && !c.is_whitespace() => {
                    named.push(word(&list[at..]));
                    start = false;
                }
                _ => {}
            }
        }
    }
    named
}

fn fail_with(found: Vec<String>, rule: &str) {
    assert!(found.is_empty(), "{rule}:\n  {}", found.join("\n  "));
}

#[test]
fn rooms_use_only_what_the_table_allows() {
    let table: BTreeMap<&str, BTreeSet<&str>> =
        ROOMS.iter().map(|(room, uses)| (*room, uses.iter().copied().collect())).collect();
    let mut found = Vec::new();
    for source in sources().iter().filter(|source| !source.room.is_empty()) {
        let allowed = table.get(source.room.as_str());
        let allowed = allowed.unwrap_or_else(|| panic!("the room `{}` is not in the table", source.room));
        for (number, line) in &source.lines {
            for named in rooms_named(line) {
                let is_room = table.contains_key(named.as_str());
                if is_room && named != source.room && !allowed.contains(named.as_str()) {
                    found.push(format!("src/{}:{number}: `{}` uses `{named}`", source.path.display(), source.room));
                }
            }
        }
    }
    fail_with(
        found,
        "a room uses what it may not; if it must, change the table here and in ARCHITECTURE.md, with the reason",
    );
}

#[test]
fn the_table_has_no_circles() {
    // Whoever uses nobody that is left can be taken out; in the end nobody may be left.
    let mut left: BTreeMap<&str, &[&str]> = ROOMS.iter().copied().collect();
    loop {
        let free: Vec<&str> = left
            .iter()
            .filter(|(_, uses)| uses.iter().all(|used| !left.contains_key(used)))
            .map(|(room, _)| *room)
            .collect();
        if free.is_empty() {
            break;
        }
        left.retain(|room, _| !free.contains(room));
    }
    assert!(left.is_empty(), "these use each other in a circle: {left:?}");
}

#[test]
fn pure_rooms_read_no_clock_no_chance_no_world() {
    let mut found = Vec::new();
    let sources = sources();
    for file in PURE_FILES {
        assert!(sources.iter().any(|source| source.path == Path::new(file)), "src/{file} is not there");
    }
    let is_pure = |source: &&Source| {
        PURE.contains(&source.room.as_str()) || PURE_FILES.iter().any(|file| source.path == Path::new(file))
    };
    for source in sources.iter().filter(is_pure) {
        for (number, line) in &source.lines {
            for word in IMPURE.iter().filter(|word| line.contains(**word)) {
                found.push(format!("src/{}:{number}: {word}", source.path.display()));
            }
        }
    }
    fail_with(found, "a pure room touches the world; pass it in as an argument");
}

#[test]
fn modules_are_named_after_their_idea() {
    let mut found = Vec::new();
    for source in sources() {
        for part in source.path.components() {
            let name = part.as_os_str().to_string_lossy().into_owned();
            if EMPTY_NAMES.contains(&name.trim_end_matches(".rs")) {
                found.push(format!("src/{}", source.path.display()));
            }
        }
    }
    fail_with(found, "a name that says nothing of what is inside");
}

#[test]
fn files_stay_short() {
    let long = sources().into_iter().filter(|source| source.length > LONGEST_FILE);
    let found = long.map(|source| format!("src/{}: {} lines", source.path.display(), source.length)).collect();
    fail_with(found, "a file is too long; split it along an idea");
}

#[test]
fn every_room_says_what_it_is_for() {
    let mut found = Vec::new();
    let map = fs::read_to_string(root().join("ARCHITECTURE.md")).expect("ARCHITECTURE.md stands at the top");
    let rooms: BTreeSet<String> =
        sources().into_iter().map(|source| source.room).filter(|room| !room.is_empty()).collect();
    for room in rooms {
        let front = fs::read_to_string(root().join("src").join(&room).join("mod.rs")).expect("a room has a front door");
        if !front.starts_with("//!") {
            found.push(format!("src/{room}/mod.rs does not open with //!"));
        }
        if !map.contains(&format!("`{room}`")) {
            found.push(format!("ARCHITECTURE.md does not name `{room}`"));
        }
    }
    fail_with(found, "a room is not explained");
}

#[test]
fn nothing_unwraps_outside_tests() {
    let mut found = Vec::new();
    for source in sources() {
        for (number, line) in &source.lines {
            if line.contains(".unwrap()") {
                found.push(format!("src/{}:{number}", source.path.display()));
            }
        }
    }
    fail_with(found, "unwrap; state the invariant with expect, or return an error");
}

#[test]
fn no_test_is_switched_off_and_nothing_points_outside() {
    // Written in pieces, so that this file does not find itself.
    let forbidden = [concat!("#[ig", "nore"), concat!("..", "/shared"), concat!("/wo", "rk/")];
    let texts = |path: &Path| {
        let end = path.extension().map(|end| end.to_string_lossy().into_owned()).unwrap_or_default();
        ["rs", "md", "yaml", "yml", "toml", "conf", "cfg", "lua", "py", "txt", ""].contains(&end.as_str())
    };
    let mut paths = Vec::new();
    files_below(&root(), &texts, &mut paths);
    let mut found = Vec::new();
    for path in paths.iter().filter(|path| path.file_name().is_some_and(|name| name != ".git")) {
        let Ok(text) = fs::read_to_string(path) else { continue };
        for (number, line) in text.lines().enumerate() {
            for word in forbidden.iter().filter(|word| line.contains(**word)) {
                let path = path.strip_prefix(root()).expect("it was found there").display();
                found.push(format!("{path}:{}: {word}", number + 1));
            }
        }
    }
    fail_with(found, "a test is switched off, or a text points outside the project");
}

#[test]
fn the_reader_of_paths_reads_paths() {
    assert_eq!(rooms_named("use crate::decide::Lane;"), ["decide"]);
    assert_eq!(rooms_named("use crate::{config, decide::{a, b}, live};"), ["config", "decide", "live"]);
    assert_eq!(rooms_named("let x: crate::wire::Head = crate::proxy::y();"), ["wire", "proxy"]);
    assert!(rooms_named("use super::x;").is_empty());
}

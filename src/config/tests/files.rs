//! Several files, folders, and the files that a configuration names.

use std::path::{Path, PathBuf};

use super::super::{Endpoint, KeyFiles, Loaded, Problems, load, load_with};
use super::{BUSINESS_RULE, GOODS, folder, lines, same};

const KEY: &str = "0123456789abcdef0123456789abcdef\n";
const UPSTREAMS: &str = "upstreams: { up: { endpoints: [a:80] } }\n";
const ROUTES: &str = "service: goods\nroutes: [{ name: all, match: {}, lanes: { stable: up } }]\n";

#[track_caller]
fn check(files: &[(&str, &str)], expected: &str) {
    let (folder, paths) = folder(files);
    let found = match load(&paths) {
        Ok(loaded) => panic!("loads, with warnings:\n{}", lines(loaded.warnings.iter())),
        Err(problems) => lines(problems.iter()),
    };
    same(&found.replace(&format!("{}/", folder.path().display()), ""), expected);
}

#[track_caller]
fn loads(files: &[(&str, &str)]) -> (tempfile::TempDir, Loaded) {
    let (folder, paths) = folder(files);
    match load(&paths) {
        Ok(loaded) => (folder, loaded),
        Err(problems) => panic!("{}", lines(problems.iter())),
    }
}

fn refused(path: &str) -> Problems {
    load(&[PathBuf::from(path)]).expect_err("it is not there")
}

#[test]
fn the_files_of_a_folder_are_one_configuration() {
    let more = "routes: [{ name: some, match: { path: /some }, lanes: { stable: up } }]\nservice: goods\n";
    let (_, loaded) =
        loads(&[("b.yml", ROUTES), ("a.yaml", UPSTREAMS), ("c.yaml", more), ("notes.txt", "\t"), (".x.yaml", "\t")]);
    assert_eq!(lines(loaded.warnings.iter()), "");
    let names: Vec<&str> = loaded.settings.routes.iter().map(|route| &*route.name).collect();
    assert_eq!(names, ["all", "some"]);
    let read: Vec<&str> = loaded.sources.iter().filter_map(|source| source.path.file_name()?.to_str()).collect();
    assert_eq!(read, ["a.yaml", "b.yml", "c.yaml"]);
}

#[test]
fn documents_of_one_file_are_one_configuration() {
    let text = format!("{UPSTREAMS}---\n{ROUTES}---\n");
    assert_eq!(loads(&[("a.yaml", &text)]).1.settings.routes.len(), 1);
}

#[test]
fn a_file_that_is_named_twice_is_read_once() {
    let (folder, mut paths) = folder(&[("a.yaml", UPSTREAMS), ("b.yaml", ROUTES)]);
    paths.push(folder.path().join("./a.yaml"));
    assert_eq!(load(&paths).map(|loaded| loaded.sources.len()).ok(), Some(2));
}

#[test]
fn what_two_files_say_must_not_differ() {
    check(
        &[("a.yaml", UPSTREAMS), ("b.yaml", UPSTREAMS), ("c.yaml", ROUTES)],
        "b.yaml:1:14: upstream `up` is defined twice; first at a.yaml:1:14",
    );
    check(
        &[("a.yaml", &format!("{ROUTES}drain: 5s\n")), ("b.yaml", &format!("{UPSTREAMS}drain: 6s\nservice: goods\n"))],
        "b.yaml:2:8: `drain` has another value in another place; first at a.yaml:3:8",
    );
    check(
        &[("a.yaml", &format!("{ROUTES}{UPSTREAMS}")), ("b.yaml", ROUTES)],
        "b.yaml:2:18: route `all` is defined twice; first at a.yaml:2:18
         b.yaml:2:30: routes `all` and `all` match the same requests: same host, path, method and headers; the other at a.yaml:2:30",
    );
}

#[test]
fn a_broken_file_hides_no_problem_of_another_and_makes_none() {
    check(
        &[("a.yaml", "upstreams: {\n"), ("b.yaml", ROUTES), ("c.yaml", "drain: 5\n")],
        "a.yaml:1:12: not valid YAML: unclosed bracket '{'
         c.yaml:1:8: `5` needs a unit: write `250ms`, `5s`, `10m` or `1h`",
    );
}

#[test]
fn paths_that_lead_nowhere_are_told() {
    assert_eq!(
        refused("/nowhere/a.yaml").to_string(),
        "/nowhere/a.yaml:1:1: cannot read this file: No such file or directory (os error 2) (1 error)"
    );
    let (_folder, paths) = folder(&[("notes.txt", "")]);
    let problems = load(&paths).expect_err("a folder without YAML");
    assert!(lines(problems.iter()).ends_with(":1:1: no `*.yaml` file in this folder"));
}

#[test]
fn files_are_relative_to_the_file_that_names_them() {
    let local = format!("{ROUTES}{UPSTREAMS}local: unix:run/goods.sock\nstate: {{ dir: state }}\n");
    let (folder, loaded) = loads(&[("a.yaml", &local)]);
    assert_eq!(loaded.settings.local, Some(Endpoint::Unix(folder.path().join("run/goods.sock"))));
    assert_eq!(loaded.settings.state_dir, Some(folder.path().join("state")));
    assert_eq!(loads(&[("goods.yaml", GOODS), ("override.key", KEY)]).1.settings.program.releases().len(), 1);
}

#[test]
fn a_key_file_is_long_enough_and_there() {
    check(
        &[("goods.yaml", GOODS), ("override.key", "too short\n")],
        "goods.yaml:39:53: key file `override.key`: the key has 9 bytes, 32 are the least",
    );
    check(
        &[("goods.yaml", GOODS)],
        "goods.yaml:39:53: cannot read key file `override.key`: No such file or directory (os error 2)",
    );
    let (folder, paths) = folder(&[("goods.yaml", GOODS)]);
    let loaded = load_with(&paths, KeyFiles::MayBeAbsent).expect("a check needs no secrets");
    let missing = loaded.warnings.iter().find(|warning| warning.line == 39).map(|warning| warning.message.clone());
    assert_eq!(
        missing,
        Some(format!("key file `{}` is not here; `run` needs it", folder.path().join("override.key").display()))
    );
}

#[test]
fn a_token_file_holds_a_token_and_is_there() {
    let text = format!("{ROUTES}{UPSTREAMS}admin: {{ token_file: admin.token }}\n");
    let wrong = |token: &str, expected: &str| {
        let (_folder, paths) = folder(&[("a.yaml", &text), ("admin.token", token)]);
        let problems = load(&paths).expect_err("no token");
        assert!(lines(problems.iter()).contains(expected), "{}", lines(problems.iter()));
    };
    wrong("\n", "it is empty");
    wrong("two words", "visible ASCII");
    let (folder, paths) = folder(&[("a.yaml", &text)]);
    assert!(lines(load(&paths).expect_err("nothing there").iter()).contains("No such file"));
    let told = |key_files| {
        let loaded = load_with(&paths, key_files).expect("it loads");
        lines(loaded.warnings.iter())
    };
    assert!(told(KeyFiles::MayBeAbsent).contains("is not here; `run` needs it"));
    std::fs::write(folder.path().join("admin.token"), "short\n").expect("a file of it");
    assert!(told(KeyFiles::Needed).contains("can be guessed"));
    std::fs::write(folder.path().join("admin.token"), KEY).expect("a file of it");
    assert_eq!(told(KeyFiles::Needed), "");
}

#[test]
fn the_version_follows_texts_and_keys() {
    let version = |text: &str, key: &str| loads(&[("goods.yaml", text), ("override.key", key)]).1.version;
    let first = version(GOODS, KEY);
    assert_eq!(first.len(), 12);
    assert_eq!(first, version(GOODS, KEY));
    assert_ne!(first, version(&format!("{GOODS}# more\n"), KEY));
    assert_ne!(first, version(GOODS, &KEY.replace('0', "1")));
}

#[test]
fn both_examples_load_together() {
    let (_, loaded) = loads(&[("goods.yaml", GOODS), ("override.key", KEY), ("rule.yaml", BUSINESS_RULE)]);
    assert!(loaded.settings.program.release_named("sku-price-calc-v2").is_some());
    assert!(load(&[Path::new("config/business-rule.yaml").to_owned()]).is_ok());
}

//! Texts that are no configuration at all.

use super::super::Style;
use super::{check, goods, load};

#[test]
fn a_tab_is_told_where_it_is() {
    check(goods("    permille: 50", "\tpermille: 50"), "38:1: a tab cannot indent YAML");
    check(goods("  - name: rest\n    match", "  - name: rest\n\tmatch"), "74:1: a tab cannot indent YAML");
    check(goods("version: 1\n", "version:\t1\n\tservice: a\n"), "3:1: a tab cannot indent YAML");
}

#[test]
fn broken_syntax_is_told_once() {
    check(goods("[127.0.0.1:9001]", "[127.0.0.1:9001"), "29:30: not valid YAML: mismatched bracket '[' closed by '}'");
    check(goods("version: 1", "version: 1: 2"), "2:11: not valid YAML: mapping values are not allowed in this context");
    check(goods("version: 1", "version: *one"), "2:10: not valid YAML: while parsing node, found unknown anchor");
    check(goods("version: 1", r#"version: "1"#), "3:1: not valid YAML: invalid indentation in multiline quoted scalar");
}

#[test]
fn keys_stand_once_in_a_map() {
    check(
        goods("    permille: 50", "    permille: 50\n    permille: 60"),
        "
            39:5: the key `permille` stands twice in this map; first at t.yaml:38:5
        ",
    );
    check(goods("version: 1", "version: 1\n? [a, b]\n: c"), "3:3: a key is a text, not a list");
    check(goods("version: 1", "version: !mine 1"), "2:16: the tag `!mine` means nothing here");
}

#[test]
fn an_empty_file_is_no_configuration() {
    check("", "1:1: this file is empty");
    check("# only a comment\n", "1:1: this file is empty");
    check("---\n---\n", "1:1: this file is empty");
    check("null\n", "1:1: this file is empty");
    check("just a text\n", "1:1: expected the configuration: a map, found a text");
    check("- a\n- list\n", "1:1: expected the configuration: a map, found a list");
}

#[test]
fn a_binary_file_is_told_at_its_first_wrong_byte() {
    check(b"version: 1\n\x7fELF\0\0".as_slice(), "2:5: a NUL byte: this is a binary file, not YAML");
    check(b"version: 1\nservice: \xff\xfe".as_slice(), "2:10: not UTF-8 text: byte 0xff");
    check(b"\x1f\x8b\x08\x00".as_slice(), "1:2: not UTF-8 text: byte 0x8b");
}

#[test]
fn an_alias_bomb_goes_off_in_our_hands_only() {
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..12 {
        let uses = vec![format!("*a{}", level - 1); 10].join(", ");
        bomb.push_str(&format!("a{level}: &a{level} [{uses}]\n"));
    }
    check(bomb, "6:9: more than 250000 values, each use of an alias counted");
    let keys: Vec<String> = (0..5000).map(|key| format!("k{key}: 1")).collect();
    let merges: String = (0..1000).map(|merge| format!("m{merge}: {{ <<: *a }}\n")).collect();
    let merging = format!("a: &a {{ {} }}\n{merges}", keys.join(", "));
    check(merging, "49:6: more than 250000 values, each use of an alias counted");
    check("a: &a [*a]", "1:8: an alias cannot stand inside the value it names");
}

#[test]
fn sizes_and_depths_are_bounded() {
    check("#".repeat(10_000_000), "1:1: this file is larger than 4 MiB, the most a file may have");
    check("[".repeat(200_000), "1:65: nested deeper than 64 levels");
    check("{a: ".repeat(200), "1:257: nested deeper than 64 levels");
    let blocks: String = (0..200).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect();
    check(blocks, "65:65: nested deeper than 64 levels");
    check(
        format!("a:\n{}", "- a\n".repeat(300_000)),
        "250001:3: more than 250000 values, each use of an alias counted",
    );
}

#[test]
fn many_problems_are_shown_in_part_and_counted() {
    let problems = load("routes:\n".to_owned() + &"- a\n".repeat(100_000)).expect_err("no route is good");
    assert_eq!((problems.iter().count(), problems.omitted()), (100, 99_900));
    assert!(problems.render(Style::Plain).ends_with("\n\n100 errors and 99900 more that are not shown"));
}

#[test]
fn a_text_cannot_steer_the_terminal() {
    let problems = load("\"a\\e[31m\\n\": 1").expect_err("no such field");
    let shown = problems.render(Style::Plain);
    assert!(shown.contains("unknown field `a\\u{1b}[31m\\n`") && !shown.contains('\u{1b}'), "{shown}");
}

#[test]
fn a_problem_is_shown_with_its_line_and_the_way_out() {
    let text = goods("permille: 50", "permile: 50").replace("gray: goods-gray", "gray: goods-grey");
    let problems = load(text).expect_err("two names are wrong");
    let shown = problems.render(Style::Plain).replace("/nowhere/", "");
    insta::assert_snapshot!(shown, @r#"
    t.yaml:38:5: unknown field `permile` in a release
       |
    38 |     permile: 50
       |     ^^^^^^^
      help: did you mean `permille`?

    t.yaml:63:42: there is no upstream `goods-grey`
       |
    63 |     lanes: { stable: goods-stable, gray: goods-grey }
       |                                          ^^^^^^^^^^
      help: did you mean `goods-gray`?

    t.yaml:70:42: there is no upstream `goods-grey`
       |
    70 |     lanes: { stable: goods-stable, gray: goods-grey }
       |                                          ^^^^^^^^^^
      help: did you mean `goods-gray`?

    3 errors
    "#);
    let json = serde_json::to_string_pretty(&problems.iter().next()).expect("plain fields");
    insta::assert_snapshot!(json.replace("/nowhere/", ""), @r#"
    {
      "file": "t.yaml",
      "line": 38,
      "column": 5,
      "severity": "error",
      "message": "unknown field `permile` in a release",
      "suggestion": "permille",
      "help": null
    }
    "#);
}

#[test]
fn a_long_line_is_cut_around_the_problem() {
    let keys: Vec<String> = (0..100).map(|key| format!("{{ header: x-{key} }}")).collect();
    let text = goods("{ cookie: uid }", &format!("{}, {{ cokie: 用户 }}", keys.join(", ")));
    let problems = load(text).expect_err("a field is wrong");
    insta::assert_snapshot!(problems.render(Style::Plain).replace("/nowhere/", ""), @r#"
    t.yaml:16:1834: unknown field `cokie` in a source
       |
    16 | , { header: x-98 }, { header: x-99 }, { cokie: 用户 }]
       |                                         ^^^^^
      help: did you mean `cookie`?

    t.yaml:16:1841: `用户` is no name of a cookie
       |
    16 | der: x-98 }, { header: x-99 }, { cokie: 用户 }]
       |                                         ^^^^

    2 errors
    "#);
}

//! Texts that are no configuration at all.

use super::{check, goods};

#[test]
fn a_tab_is_told_where_it_is() {
    check(
        goods("    permille: 50", "\tpermille: 50"),
        "38:1: a tab cannot indent YAML",
    );
    check(
        goods("  - name: rest\n    match", "  - name: rest\n\tmatch"),
        "74:1: a tab cannot indent YAML",
    );
    check(
        goods("version: 1\n", "version:\t1\n\tservice: a\n"),
        "3:1: a tab cannot indent YAML",
    );
}

#[test]
fn broken_syntax_is_told_once() {
    check(
        goods("[127.0.0.1:9001]", "[127.0.0.1:9001"),
        "29:30: not valid YAML: mismatched bracket '[' closed by '}'",
    );
    check(
        goods("version: 1", "version: 1: 2"),
        "2:11: not valid YAML: mapping values are not allowed in this context",
    );
    check(
        goods("version: 1", "version: *one"),
        "2:10: not valid YAML: while parsing node, found unknown anchor",
    );
    check(
        goods("version: 1", r#"version: "1"#),
        "3:1: not valid YAML: invalid indentation in multiline quoted scalar",
    );
}

#[test]
fn keys_stand_once_in_a_map() {
    check(
        goods("    permille: 50", "    permille: 50\n    permille: 60"),
        "
            39:5: the key `permille` stands twice in this map; first at t.yaml:38:5
        ",
    );
    check(
        goods("version: 1", "version: 1\n? [a, b]\n: c"),
        "3:3: a key is a text, not a list",
    );
    check(
        goods("version: 1", "version: !mine 1"),
        "2:16: the tag `!mine` means nothing here",
    );
}

#[test]
fn an_empty_file_is_no_configuration() {
    check(
        "",
        "1:1: this file is empty",
    );
    check(
        "# only a comment\n",
        "1:1: this file is empty",
    );
    check(
        "---\n---\n",
        "1:1: this file is empty",
    );
    check(
        "null\n",
        "1:1: this file is empty",
    );
    check(
        "just a text\n",
        "1:1: expected the configuration: a map, found a text",
    );
    check(
        "- a\n- list\n",
        "1:1: expected the configuration: a map, found a list",
    );
}

//! Bad configurations that arrive while the sidecar runs: refused whole, whatever is wrong with them.

use super::{plan_to, put};
use crate::harness::{Origin, Sidecar};

#[test]
fn whatever_arrives_the_last_good_one_stays() {
    let (one, two) = (Origin::lane("one"), Origin::lane("two"));
    let sidecar = Sidecar::start(&plan_to(&one, ""));
    let good = sidecar.text_of(&plan_to(&two, ""));
    let edited = |from: &str, to: &str| good.replacen(from, to, 1).into_bytes();
    let bad: Vec<(&str, Vec<u8>)> = vec![
        ("nothing", Vec::new()),
        ("no text", vec![0xff, 0xfe, 0x00]),
        ("a NUL byte", b"version: 1\0".to_vec()),
        ("half a document", good.as_bytes()[..good.len() - 20].to_vec()),
        ("no YAML", b"a: [".to_vec()),
        ("a list", b"- a\n- b\n".to_vec()),
        ("another version", edited("version: 1", "version: 7")),
        ("a name twice", format!("{good}\n---\nupstreams:\n  stable: {{ endpoints: [\"127.0.0.1:1\"] }}\n").into()),
        ("an unknown field", edited("trust:", "trusted:")),
        ("an unknown upstream", edited("stable: stable", "stable: missing")),
        (
            "no such key file",
            format!("{good}\nreleases: {{ r: {{ level: developer, developer: {{ key_file: no }} }} }}").into(),
        ),
        ("too large", vec![b'#'; 5 << 20]),
        ("anchors that explode", b"a: &a [x,x]\nb: &b [*a,*a,*a]\nc: [*b,*b,*b]\n".to_vec()),
    ];
    for (what, text) in bad {
        let answer = put(&sidecar, text);
        assert_eq!(answer.status(), 422, "{what}: {}", answer.text());
        assert!(!answer.json()["problems"].as_array().expect("a list").is_empty(), "{what}");
        assert_eq!(sidecar.get("/", "").get("x-lane").as_deref(), Some("one"), "{what}");
    }
    std::fs::remove_file(sidecar.config()).unwrap();
    assert_eq!(sidecar.sync().status(), 422, "no file at all");
    assert_eq!(sidecar.admin_get("/readyz").status(), 200);
    assert_eq!(sidecar.metric("graylane_config_version", &[]), 1.0);
    assert_eq!(put(&sidecar, &good).status(), 200);
    assert_eq!(sidecar.get("/", "").get("x-lane").as_deref(), Some("two"));
}

#[test]
fn what_needs_a_restart_says_so_and_nothing_of_it_is_applied() {
    let (one, two) = (Origin::lane("one"), Origin::lane("two"));
    let sidecar = Sidecar::start(&plan_to(&one, ""));
    let good = sidecar.text_of(&plan_to(&two, ""));
    for text in [good.replacen("workers: 1", "workers: 2", 1), format!("{good}state: {{ dir: state }}\n")] {
        let answer = put(&sidecar, text);
        assert_eq!(answer.status(), 422, "{}", answer.text());
        let problem = answer.json()["problems"][0].to_string();
        assert!(problem.contains("needs a restart"), "{problem}");
        assert_eq!(sidecar.get("/", "").get("x-lane").as_deref(), Some("one"));
    }
}

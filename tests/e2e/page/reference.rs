//! The configuration reference of the documentation is what the schema says.

use std::io::Write;
use std::process::Stdio;

use crate::harness::{graylane, python_script};

#[test]
fn the_reference_is_written_from_the_schema() {
    let schema = graylane(["schema"]).stdout;
    let mut script = python_script("configuration_reference.py");
    let mut writer = script.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("Python runs");
    writer.stdin.take().expect("it is piped").write_all(&schema).expect("it is read");
    let written = writer.wait_with_output().expect("it ends").stdout;
    let kept =
        std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/configuration-reference.md")).expect("it is there");
    assert!(written == kept, "docs/configuration-reference.md is old: run `make reference`");
}

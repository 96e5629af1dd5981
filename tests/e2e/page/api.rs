//! The admin port against its own description: schemathesis makes calls of it, right ones and wrong ones.

use std::path::PathBuf;
use std::process::Command;

use super::{TOKEN, run, scene};

/// Every answer has a status, a content type and a form that the description names; nothing makes the server fail. The
/// stream is left out because it does not end.
#[test]
fn the_admin_port_is_what_its_description_says() {
    let (sidecar, _stable, _gray) = scene();
    let python = std::env::var_os("GRAYLANE_TEST_PYTHON")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/test-venv/bin/python"), PathBuf::from);
    let tool = python.with_file_name("schemathesis");
    let mut command = Command::new(tool);
    command
        .current_dir(sidecar.directory())
        .args(["run", &format!("http://{}/api/v1/openapi.json", sidecar.admin())])
        .args(["--url", &format!("http://{}", sidecar.admin()), "-H", &format!("Authorization: Bearer {TOKEN}")])
        .args(["--exclude-path", "/api/v1/stream", "--phases", "examples,coverage,fuzzing", "--mode", "all"])
        .args(["--max-examples", "15", "--seed", "7", "--generation-database", "none", "--no-color"])
        .args(["--checks", "not_a_server_error,status_code_conformance,content_type_conformance"])
        .args(["--checks", "response_schema_conformance,unsupported_method"]);
    let said = run(&mut command);
    let made = said.lines().find_map(|line| line.trim().strip_suffix(" passed")?.split_once(" generated, "));
    let (made, passed) = made.expect(&said);
    assert!(made == passed && made.parse::<u32>().expect("a number") > 200, "{said}");
}

#[test]
fn every_error_is_a_problem() {
    let (sidecar, _stable, _gray) = scene();
    let shown = format!("Authorization: Bearer {TOKEN}\r\n");
    for (answer, status) in [
        (sidecar.admin_get("/nowhere"), 404),
        (sidecar.admin_get("/api/v1/releases/none/buckets"), 404),
        (sidecar.admin_get("/api/v1/releases/%ff/buckets"), 400),
        (sidecar.admin_get("/api/v1/incidents?last=x"), 400),
        (sidecar.admin_post("/api/v1/releases", "", ""), 405),
        (sidecar.admin_post("/api/v1/stream", "", ""), 405),
        (sidecar.admin_post("/api/v1/explain", "Content-Type: text/plain\r\n", "{}"), 415),
        (sidecar.admin_post("/api/v1/releases/r/rollback", "", ""), 401),
        (sidecar.admin_post("/api/v1/releases/none/rollback", &shown, ""), 404),
        (sidecar.admin_post("/api/v1/releases/%ff/rollback", &shown, ""), 400),
        (sidecar.admin_post("/api/v1/releases/r/pause", &shown, &"x".repeat(300_000)), 413),
        (sidecar.admin_post("/api/flags/sync?confirm=%ff&confirm=2", &shown, ""), 400),
    ] {
        let text = answer.text();
        assert_eq!(answer.status(), status, "{text}");
        assert_eq!(answer.get("content-type").as_deref(), Some("application/problem+json"), "{text}");
        assert_eq!(answer.json()["status"], status);
    }
}

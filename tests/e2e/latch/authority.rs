//! Who may change a release.

use super::Scene;
use crate::harness::{Client, Response};

const TOKEN: &str = "9f8a1c0d-a-token-for-this-test-alone";

fn scene() -> Scene {
    Scene::with(|plan| plan.admin("token_file: admin.token").file("admin.token", format!("{TOKEN}\n")))
}

fn roll_back(scene: &Scene, fields: &str) -> Response {
    scene.sidecar.admin_post("/api/v1/releases/r/rollback", fields, "")
}

/// Asserts that the call is refused so, in the form of a problem, and that nothing changed.
fn refused(scene: &Scene, response: &Response, status: u16) {
    assert_eq!(response.status(), status, "{}", response.text());
    assert_eq!(response.get("content-type").as_deref(), Some("application/problem+json"));
    assert_eq!(response.json()["status"], status);
    assert_eq!(scene.lane(), "gray");
}

#[test]
fn without_a_token_or_with_a_wrong_one_nothing_changes() {
    let scene = scene();
    let none = roll_back(&scene, "");
    refused(&scene, &none, 401);
    assert!(none.get("www-authenticate").is_some_and(|scheme| scheme.starts_with("Bearer")));
    for wrong in ["Bearer no", "Bearer ", "Basic YTpi", TOKEN] {
        refused(&scene, &roll_back(&scene, &format!("Authorization: {wrong}\r\n")), 401);
    }
    let right = roll_back(&scene, &format!("Authorization: Bearer {TOKEN}\r\n"));
    assert_eq!(right.status(), 200, "{}", right.text());
    assert_eq!(scene.lane(), "stable");
    let shown = scene.sidecar.admin_get("/api/v1/audit").json();
    assert_eq!(shown["audit"][1]["by"], "token, 127.0.0.1");
    assert!(!scene.sidecar.stderr().contains(TOKEN));
    assert!(!scene.sidecar.admin_get("/api/v1/config").text().contains(TOKEN));
}

#[test]
fn a_page_of_another_origin_changes_nothing() {
    for scene in [scene(), Scene::open()] {
        let authorised = format!("Authorization: Bearer {TOKEN}\r\n");
        for origin in ["http://evil.example", "null", "https://localhost:1", "http://127.0.0.1:1"] {
            let fields = format!("{authorised}Origin: {origin}\r\nContent-Type: application/json\r\n");
            refused(&scene, &roll_back(&scene, &fields), 403);
        }
        let rebound = format!(
            "POST /api/v1/releases/r/rollback HTTP/1.1\r\nHost: evil.example\r\n{authorised}Content-Length: \
             0\r\nConnection: close\r\n\r\n"
        );
        refused(&scene, &Client::once(scene.sidecar.admin(), &rebound), 403);
    }
}

#[test]
fn what_a_form_can_send_changes_nothing() {
    let scene = Scene::open();
    for kind in ["application/x-www-form-urlencoded", "multipart/form-data; boundary=a", "text/plain"] {
        refused(&scene, &roll_back(&scene, &format!("Content-Type: {kind}\r\n")), 415);
    }
    refused(&scene, &roll_back(&scene, "User-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\n"), 403);
    refused(&scene, &roll_back(&scene, "Sec-Fetch-Site: cross-site\r\n"), 403);
    let page = format!("Origin: http://localhost:{}\r\n", scene.sidecar.admin().port());
    let own =
        format!("POST /api/v1/releases/r/rollback HTTP/1.1\r\nHost: localhost:{}\r\n", scene.sidecar.admin().port());
    let own = format!("{own}{page}Content-Type: application/json\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    assert_eq!(Client::once(scene.sidecar.admin(), &own).status(), 200, "the port's own page may");
}

#[test]
fn nobody_changes_anything_where_the_configuration_allows_nobody() {
    let scene = Scene::with(|plan| plan);
    refused(&scene, &roll_back(&scene, ""), 403);
    refused(&scene, &roll_back(&scene, &format!("Authorization: Bearer {TOKEN}\r\n")), 403);
}

#[test]
fn what_does_not_exist_is_not_found() {
    let scene = Scene::open();
    refused(&scene, &scene.sidecar.admin_post("/api/v1/releases/x/rollback", "", ""), 404);
    refused(&scene, &scene.sidecar.admin_post("/api/v1/releases/r/explode", "", ""), 404);
    refused(&scene, &scene.sidecar.admin_get("/api/v1/releases/r/rollback"), 405);
}

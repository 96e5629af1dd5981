//! Tokens that may read, and tokens that may change.

use std::time::{Duration, Instant};

use super::Scene;
use crate::harness::{Client, Response};

const READ: &str = "9f8a1c0d-a-token-that-may-only-read";
const CHANGE: &str = "9f8a1c0d-a-token-that-may-change-too";

fn scene(reads: &str) -> Scene {
    let keys =
        format!("tokens: [{{ file: read.token, role: read }}, {{ file: change.token, role: change }}], reads: {reads}");
    Scene::with(|plan| plan.admin(&keys).file("read.token", READ).file("change.token", CHANGE))
}

fn get(scene: &Scene, path: &str, token: Option<&str>) -> Response {
    let shown = token.map_or(String::new(), |token| format!("Authorization: Bearer {token}\r\n"));
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{shown}Connection: close\r\n\r\n");
    Client::once(scene.sidecar.admin(), &request)
}

fn roll_back(scene: &Scene, token: &str) -> u16 {
    let shown = format!("Authorization: Bearer {token}\r\n");
    scene.sidecar.admin_post("/api/v1/releases/r/rollback", &shown, "").status()
}

#[test]
fn a_token_that_may_read_changes_nothing_and_one_that_may_change_reads() {
    let scene = scene("token");
    for path in ["/api/v1/releases", "/metrics", "/api/v1/stream"] {
        assert_eq!(get(&scene, path, None).status(), 401, "{path}");
        for token in [READ, CHANGE] {
            if path != "/api/v1/stream" {
                assert_eq!(get(&scene, path, Some(token)).status(), 200, "{path}");
            }
        }
    }
    for path in ["/healthz", "/readyz", "/"] {
        assert_eq!(get(&scene, path, None).status(), 200, "{path} never needs a token");
    }
    assert_eq!(roll_back(&scene, READ), 401);
    assert_eq!(scene.lane(), "gray");
    assert_eq!(roll_back(&scene, CHANGE), 200);
    assert_eq!(scene.lane(), "stable");
}

/// A plan tells the configuration in force, value by value: whoever may not read that may not ask for one.
#[test]
fn a_plan_asks_for_the_same_token_as_the_configuration_that_it_tells() {
    let scene = scene("token");
    let plan = |shown: &str| scene.sidecar.admin_post("/api/v1/config/plan", shown, "{}");
    let refused = plan("");
    assert_eq!(refused.status(), 401);
    assert!(!refused.text().contains("upstreams"), "{}", refused.text());
    assert_eq!(plan(&format!("Authorization: Bearer {READ}\r\n")).status(), 200);
    assert_eq!(plan(&format!("Authorization: Bearer {CHANGE}\r\n")).status(), 200);
}

#[test]
fn reading_is_open_where_nothing_else_is_said() {
    let scene = scene("open");
    assert_eq!(get(&scene, "/api/v1/releases", None).status(), 200);
    assert_eq!(roll_back(&scene, READ), 401);
    assert_eq!(roll_back(&scene, CHANGE), 200);
}

#[test]
fn wrong_tokens_are_counted_and_slowed_and_do_not_keep_others_out() {
    let scene = scene("token");
    let address = scene.sidecar.admin();
    let guess = move |number: usize| {
        let request = format!(
            "GET /api/v1/config HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {number}\r\nConnection: close\r\n\r\n"
        );
        let began = Instant::now();
        (Client::once(address, &request).status(), began.elapsed())
    };
    let guesses: Vec<_> = (0..20).map(|number| std::thread::spawn(move || guess(number))).collect();
    assert_eq!(get(&scene, "/api/v1/config", Some(READ)).status(), 200);
    let answers: Vec<(u16, Duration)> = guesses.into_iter().map(|guess| guess.join().expect("an answer")).collect();
    for (status, took) in &answers {
        assert!(*status == 429 || (*status == 401 && *took >= Duration::from_millis(250)), "{answers:?}");
    }
    assert!(answers.iter().any(|(status, _)| *status == 401), "{answers:?}");
    let told = get(&scene, "/metrics", Some(READ)).text();
    assert!(told.lines().any(|line| line == "graylane_admin_wrong_tokens_total 20"), "{told}");
}

//! Gray cannot hurt anyone for long: the incident in small, each act in a few seconds. `make test-long` plays it in full.

mod stage;

use std::time::Duration;

use stage::{Mood, Phase, ROUTES, Setting, Shown, Stage};

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// A tenth of these users see gray: 20 requests a second. Limits are wide apart, so that a busy machine opens nothing.
const SETTING: Setting = Setting {
    rps: 200,
    before: ms(1500),
    bearable: ms(700),
    breaker: "window: 5s, short_window: 2s, min_calls: 20, min_calls_p99: 40, p99: 700ms, slow_call: 700ms, mean: 300ms, \
              open_for: 1s, trials: 5",
    release: "",
    first_byte: "1500ms",
};

fn play(act: &'static str, mood: Mood, cause: &str) -> Shown {
    let shown = Stage::set(&SETTING).play(act, mood);
    println!("{}\n{shown}", Shown::HEAD);
    for opened in shown.opened {
        assert_eq!(opened.cause, cause);
        // The rest of the crowd is on stable, whatever gray does.
        assert!(opened.gray_requests < 400, "{opened:?}");
    }
    let [before, after] = &shown.held;
    after.assert_let_go(before, 24 * 1024);
    shown
}

/// Nobody behind the shield saw a failure; without it, some did, and only those in gray.
fn assert_shielded(shown: &Shown) {
    assert_eq!((shown.bad[0].failed, shown.open[0].failed), (0, 0));
    let failed = shown.bad[1].failed;
    assert!((1..=shown.opened[1].gray_requests).contains(&failed), "{failed}");
}

#[test]
fn gray_that_errs_is_out_within_seconds_and_nobody_behind_the_shield_saw_it() {
    assert_shielded(&play("92 % of 500s", Mood::Errors, "error_rate"));
}

#[test]
fn gray_with_a_slow_tail_is_out_though_its_mean_is_good() {
    let shown = play("slow tail", Mood::Tail { one_of: 20, takes: ms(850) }, "p99");
    assert_eq!(shown.bad.map(|met| met.failed), [0, 0], "a late answer is an answer");
}

#[test]
fn gray_that_is_slow_on_the_whole_is_out_though_its_tail_is_good() {
    let shown = play("slow mean", Mood::Slow(ms(450)), "mean");
    assert_eq!(shown.bad.map(|met| met.failed), [0, 0], "a late answer is an answer");
}

#[test]
fn gray_that_hangs_is_out_after_the_first_time_outs_and_stable_answers_instead() {
    assert_shielded(&play("no answer", Mood::Mute, "error_rate"));
}

#[test]
fn where_both_lanes_are_bad_gray_is_not_taken_back_as_the_worse_one() {
    let mut stage = Stage::set(&Setting { release: "rollback: { worse: true }", ..SETTING });
    stage.crowd.enter(Phase::Bad);
    stage.stable.turn(Mood::Errors);
    stage.gray.turn(Mood::Errors);
    for (route, lane) in ROUTES.into_iter().flat_map(|route| [(route, "stable"), (route, "gray")]) {
        let labels = [("route", route), ("lane", lane), ("to", "open"), ("cause", "error_rate")];
        stage.sidecar.wait_for_metric("graylane_breaker_transitions_total", &labels, 1.0);
    }
    assert_eq!(stage.sidecar.metric("graylane_release_latched", &[("release", "r")]), 0.0);
    let incidents = stage.sidecar.admin_get("/api/v1/incidents").json();
    assert_eq!(incidents["incidents"].as_array().map(Vec::len), Some(0), "{incidents}");
    stage.leave();
}

//! Figures that take a release back, how long what runs on gray lives on, and where nothing can be compared.

use std::time::Duration;

use super::super::rollback::{RollbackFigure, RollbackPlan};
use super::{BUSINESS_RULE, check, goods, lines, load};
use crate::resilience::{Criterion, Relation, Sign};

const ROLLBACK: &str = "rollback: { openings: 3, within: 10m }";

/// The example with these figures in place of its `rollback`, which stands at line 45, column 5.
fn with(figures: &str) -> String {
    goods(ROLLBACK, &format!("rollback_on: [{figures}]"))
}

#[track_caller]
fn plan(text: &str) -> RollbackPlan {
    match load(text) {
        Ok(loaded) => (*loaded.settings.rollbacks[0]).clone(),
        Err(problems) => panic!("{}", lines(problems.iter())),
    }
}

#[track_caller]
fn figure(written: &str) -> RollbackFigure {
    plan(&with(written)).figures[0].clone()
}

#[track_caller]
fn judged_by(written: &str, sign: Sign, relation: Relation, limit: f64, lasting: u64) {
    let expected = Criterion { sign, relation, limit, lasting: Duration::from_secs(lasting) };
    assert_eq!(figure(written).criterion, Some(expected), "{written}");
}

#[test]
fn a_figure_of_the_sidecars_own_has_a_limit_in_its_own_unit() {
    judged_by("{ metric: graylane_error_rate, threshold: \"0.05\" }", Sign::ErrorRate, Relation::Ge, 0.05, 0);
    judged_by("{ metric: error_rate, threshold: 5%, duration: 30s }", Sign::ErrorRate, Relation::Ge, 0.05, 30);
    judged_by("{ metric: slow_call_rate, threshold: 300‰ }", Sign::SlowCallRate, Relation::Ge, 0.3, 0);
    judged_by("{ metric: graylane_p99_seconds, threshold: 1.2s, operator: GT }", Sign::P99, Relation::Gt, 1.2, 0);
    judged_by("{ metric: mean, threshold: \"0.8\" }", Sign::Mean, Relation::Ge, 0.8, 0);
    judged_by("{ metric: success_rate, threshold: 99.5%, operator: LT }", Sign::SuccessRate, Relation::Lt, 0.995, 0);
    judged_by("{ metric: calls, threshold: \"10\", operator: LT, duration: 1m }", Sign::Calls, Relation::Lt, 10.0, 60);
}

#[test]
fn a_metric_of_others_is_kept_and_told() {
    let text = with("{ metric: redis_hotkey_hit_rate, threshold: \"0.85\", duration: 60s }");
    let kept = figure("{ metric: redis_hotkey_hit_rate, threshold: \"0.85\", duration: 60s }");
    assert_eq!((kept.criterion, kept.operator.as_str(), kept.duration), (None, "GE", Duration::from_secs(60)));
    assert_eq!(kept.shown()["enforced"], false);
    let told = lines(load(&text).expect("it loads").warnings.iter());
    let expected =
        "`redis_hotkey_hit_rate` is none of the sidecar's own figures: it is kept and shown, but not yet enforced";
    assert!(told.contains(expected), "{told}");
    let near = lines(load(with("{ metric: eror_rate, threshold: \"0.05\" }")).expect("it loads").warnings.iter());
    assert!(near.contains("`eror_rate` is none"), "{near}");
    let rule = lines(load(BUSINESS_RULE).expect("it loads").warnings.iter());
    assert!(rule.contains("16:15: `redis_hotkey_hit_rate`"), "{rule}");
}

#[test]
fn what_is_worse_downward_needs_an_operator() {
    check(
        with("{ metric: success_rate, threshold: 99% }"),
        "45:29: more of `graylane_success_rate` is not worse, so it needs an `operator`",
    );
    check(
        with("{ metric: graylane_calls, threshold: \"5\" }"),
        "45:29: more of `graylane_calls` is not worse, so it needs an `operator`",
    );
    check(with("{ metric: p99, threshold: 1s, operator: ABOVE }"), "45:59: `ABOVE` does not compare numbers");
}

#[test]
fn thresholds_that_no_figure_has_are_refused() {
    check(with("{ metric: error_rate, threshold: \"5\" }"), "45:52: `5` is more than all calls: shares are 0 to 1");
    check(with("{ metric: error_rate, threshold: 101% }"), "45:52: `101%` is more than all calls: shares are 0 to 1");
    check(
        with("{ metric: error_rate, threshold: \"-0.1\" }"),
        "45:52: `-0.1` is less than nothing, which no figure of the sidecar's is",
    );
    check(with("{ metric: error_rate, threshold: 0% }"), "45:52: `error_rate` is GE 0 at every time");
    check(
        with("{ metric: success_rate, threshold: 100%, operator: LE }"),
        "45:54: `success_rate` is LE 1 at every time",
    );
    check(with("{ metric: p99, threshold: soon }"), "45:45: `soon` is no time: write `1.2s` or `1.2`");
    check(with("{ metric: error_rate, threshold: 5s }"), "45:52: `5s` is no share: write `5%` or `0.05`");
    check(with("{ metric: failures, threshold: 5% }"), "45:50: `5%` is no number");
    check(with("{ metric: p99, threshold: 5% }"), "45:45: `5%` is no time: write `1.2s` or `1.2`");
    let misspelt = "45:51: `5%` is no number (did you mean `graylane_error_rate`?)";
    check(with("{ metric: error_rat, threshold: 5% }"), misspelt);
    check(with("{ metric: other_metric, threshold: 5% }"), "45:54: `5%` is no number");
}

#[test]
fn what_runs_on_gray_has_five_minutes_unless_another_time_is_set() {
    assert_eq!(plan(&goods(ROLLBACK, ROLLBACK)).gray_drain, Duration::from_secs(300));
    assert_eq!(plan(&goods(ROLLBACK, &format!("{ROLLBACK}\n    gray_drain: 20s"))).gray_drain, Duration::from_secs(20));
    assert_eq!(plan(&goods(ROLLBACK, "gray_drain: 0s")).gray_drain, Duration::ZERO);
    check(goods(ROLLBACK, "gray_drain: soon"), "45:17: `soon` is no duration: write `250ms`, `5s`, `10m` or `1h`");
}

/// What is said of `worse` where the release has these keys.
fn of_worse(keys: &str) -> String {
    let text = goods("level: permille", keys).replacen("    permille: 50\n", "", 1);
    let text = text.replacen(ROLLBACK, "rollback: { worse: true }", 1);
    let loaded = load(text).unwrap_or_else(|problems| panic!("{}", lines(problems.iter())));
    lines(loaded.warnings.iter().filter(|warning| warning.message.contains("worse")))
}

#[test]
fn worse_where_nothing_can_be_compared_is_a_warning() {
    assert_eq!(of_worse("level: permille\n    permille: 50"), "");
    for level in ["developer", "ab", "region", "full"] {
        let told = of_worse(&format!("level: {level}"));
        let expected = format!("at level `{level}` nothing can be compared, so `worse` never rolls back");
        assert!(told.contains(&expected), "{told}");
    }
    for permille in [0, 1000] {
        let told = of_worse(&format!("level: permille\n    permille: {permille}"));
        let expected = format!("at {permille} permille one lane has no calls to compare, so `worse` never rolls back");
        assert!(told.contains(&expected), "{told}");
    }
}

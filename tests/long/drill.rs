//! The incident in full: 500 requests a second on each route, a tenth of the users in gray, the breaker as it is by
//! default.

use std::time::Duration;

use crate::stage::{Mood, Setting, Shown, Stage};

const SETTING: Setting = Setting {
    rps: 500,
    // Longer than the short window: gray had the time to look good.
    before: Duration::from_secs(12),
    bearable: Duration::from_millis(800),
    breaker: "window: 60s, short_window: 10s",
    release: "",
    first_byte: "4s",
};
/// A bound against leaks; what an allocator keeps for itself is less.
const KEPT_KIB: u64 = 16 * 1024;

#[test]
fn gray_turns_bad_in_four_ways_and_is_taken_out_each_time() {
    let acts = [
        ("92 % of 500s", Mood::Errors, "error_rate"),
        ("P99 of 2.8 s", Mood::Tail { one_of: 50, takes: Duration::from_millis(2800) }, "p99"),
        ("mean of 900 ms", Mood::Slow(Duration::from_millis(900)), "mean"),
        // Behind good calls, the first of a hundred that hang move the percentile before five of them are an error rate.
        ("no answer", Mood::Mute, "p99"),
    ];
    let shown = acts.map(|(act, mood, cause)| {
        let shown = Stage::set(&SETTING).play(act, mood);
        assert_eq!(shown.opened.map(|opened| opened.cause), [cause; 2], "{act}");
        shown
    });
    println!("500 requests a second on each route, gray at 100 permille; pairs are shielded / bare\n\n{}", Shown::HEAD);
    for shown in &shown {
        println!("{shown}");
    }
    for Shown { act, held: [before, after], .. } in &shown {
        println!("{act}: {before:?} before, {after:?} after");
        after.assert_let_go(before, KEPT_KIB);
    }
    for (at, act) in [(0, "errors"), (3, "no answer")] {
        assert_eq!((shown[at].bad[0].failed, shown[at].open[0].failed), (0, 0), "{act}");
    }
}

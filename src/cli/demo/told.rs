//! How the figures of the visitors are put into words: the live line, the plain line, the warning, the summary.

use std::fmt::Write;
use std::time::Duration;

use super::configuration::{EXCLUDED_TAG, OPEN_CITY, OPEN_PROVINCE, PERMILLE, RELEASE};
use super::screen::{Ink, Screen};
use super::shop::{Edition, OpenShop};
use super::traffic::{Change, Percentiles, Ramp, Report, Sum, Trouble};

/// What the release does.
pub(super) fn release() -> String {
    format!(
        "Release {RELEASE}: gray for {:.1}% of the users by bucket, and for everyone in Zhejiang ({OPEN_PROVINCE}) and \
         Shenzhen ({OPEN_CITY}); never for {EXCLUDED_TAG} customers.",
        set_percent()
    )
}

/// What the lines mean, told once.
pub(super) fn legend(rps: u32, screen: &Screen) -> String {
    let text = format!(
        "{rps} visits a second. `gray` is the share of the users on whom the bucket alone decides (not by region, not \
         shut out), of those seen so far;\nlatencies are p50/p99 of the last 10 seconds, in milliseconds."
    );
    screen.paint(Ink::Dim, &text)
}

/// The line for a terminal, the important things first: about 80 columns.
pub(super) fn live(elapsed: Duration, report: &Report, screen: &Screen) -> String {
    let [stable, gray] = report.percentiles.map(|percentiles| pair(&percentiles));
    let troubles = report.errors + report.unsent;
    let mut line = format!(
        "{:>5}s  {:.0}/s  {}  {} (set {:.1}%)  {} {stable}  {} {gray} ms",
        elapsed.as_secs(),
        report.rate,
        warn_if(troubles > 0, &format!("{troubles} errors"), screen),
        screen.paint(Ink::Gray, &format!("gray {}", percent(report.ramp))),
        set_percent(),
        screen.paint(Ink::Stable, "stable"),
        screen.paint(Ink::Gray, "gray"),
    );
    if report.changes > 0 {
        let changes = format!("  {} lane changes", report.changes);
        line.push_str(&screen.paint(Ink::Warning, &changes));
    }
    line
}

/// The line for a pipe.
pub(super) fn plain(elapsed: Duration, report: &Report) -> String {
    let [stable, gray] = report.percentiles.map(|percentiles| pair(&percentiles));
    format!(
        "{} s: {:.1} requests/s, gray {} of {} users (set {:.1}%), p50/p99 stable {stable} ms, gray {gray} ms, \
         {} errors, {} unsent, {} lane changes",
        elapsed.as_secs(),
        report.rate,
        percent(report.ramp),
        report.ramp.users,
        set_percent(),
        report.errors,
        report.unsent,
        report.changes,
    )
}

/// A visitor who changed lane: the one thing that must not happen while the release stays as it is.
pub(super) fn warning(change: &Change, screen: &Screen) -> String {
    let (from, to) = (change.from.lane(), change.to.lane());
    let text = format!("warning: {} changed lane from {from} to {to}; was the release changed?", change.user_id);
    screen.paint(Ink::Warning, &text)
}

/// The last words. Without visitors there is no `sum`.
pub(super) fn summary(elapsed: Duration, sum: Option<&Sum>, shops: &[OpenShop; 2], screen: &Screen) -> String {
    let mut text = screen.paint(Ink::Title, &format!("The demo ended after {:.1} s", elapsed.as_secs_f64()));
    let mut line = |line: String| {
        text.push('\n');
        text.push_str(&line);
    };
    for (edition, shop) in Edition::BOTH.into_iter().zip(shops) {
        let (served, orders) = (shop.served(), shop.orders());
        line(format!("  {:<12} answered {served} requests, took {orders} orders", edition.version()));
    }
    let Some(sum) = sum else { return text };
    for (edition, percentiles) in Edition::BOTH.into_iter().zip(&sum.percentiles) {
        let count = sum.answers[edition as usize];
        line(format!("  visits to {:<6} {count}, p50/p99 {} ms", edition.lane(), pair(percentiles)));
    }
    let released: u64 = sum.released.iter().sum();
    if released > 0 {
        let share = sum.released[Edition::Gray as usize] as f64 * 100.0 / released as f64;
        line(format!("  gray share of the release's requests: {share:.1}%, by region included"));
    }
    line(format!(
        "  gray share of the users whom the bucket decides on: {} of {} users, set {:.1}%",
        percent(sum.ramp),
        sum.ramp.users,
        set_percent()
    ));
    line(match sum.changes {
        0 => format!("  {} visitors, each kept one lane", sum.visitors),
        changes => screen.paint(Ink::Warning, &format!("  {} visitors, {changes} lane changes", sum.visitors)),
    });
    line(warn_if(sum.errors > 0, &format!("  {} errors{}", sum.errors, causes(sum)), screen));
    if sum.unsent > 0 {
        let unsent = format!("  {} visits not made, because every connection was busy", sum.unsent);
        line(screen.paint(Ink::Warning, &unsent));
    }
    text
}

fn causes(sum: &Sum) -> String {
    let mut text = String::new();
    for (index, (trouble, count)) in sum.troubles.iter().enumerate() {
        let before = if index == 0 { ": " } else { ", " };
        let cause = match trouble {
            Trouble::Connect => "could not connect".to_owned(),
            Trouble::Timeout => "no answer in time".to_owned(),
            Trouble::Lost => "connection lost".to_owned(),
            Trouble::Unreadable => "unreadable answer".to_owned(),
            Trouble::Status(status) => format!("status {status}"),
        };
        // Writing into a string cannot fail.
        let _ = write!(text, "{before}{count} {cause}");
    }
    text
}

fn warn_if(is_bad: bool, text: &str, screen: &Screen) -> String {
    if is_bad { screen.paint(Ink::Warning, text) } else { text.to_owned() }
}

fn set_percent() -> f64 {
    f64::from(PERMILLE) / 10.0
}

fn percent(ramp: Ramp) -> String {
    ramp.percent().map_or_else(|| "-".to_owned(), |percent| format!("{percent:.1}%"))
}

/// `0.42/1.3`, or `-` without records.
fn pair(percentiles: &Percentiles) -> String {
    match (percentiles.p50, percentiles.p99) {
        (Some(p50), Some(p99)) => format!("{}/{}", ms(p50), ms(p99)),
        _ => "-".to_owned(),
    }
}

/// Milliseconds with two significant digits below 10.
fn ms(latency: Duration) -> String {
    let ms = latency.as_secs_f64() * 1000.0;
    match ms {
        ..1.0 => format!("{ms:.2}"),
        ..10.0 => format!("{ms:.1}"),
        _ => format!("{ms:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::screen::paper::Paper;
    use super::super::shop::open_both;
    use super::*;

    fn percentiles(p50_us: u64, p99_us: u64) -> Percentiles {
        Percentiles { p50: Some(Duration::from_micros(p50_us)), p99: Some(Duration::from_micros(p99_us)) }
    }

    fn report() -> Report {
        Report {
            rate: 199.7,
            percentiles: [percentiles(420, 1_340), Percentiles { p50: None, p99: None }],
            ramp: Ramp { users: 1234, gray: 121 },
            errors: 2,
            unsent: 1,
            changes: 0,
            new_changes: Vec::new(),
        }
    }

    #[test]
    fn the_live_line_fits_a_terminal_and_shows_the_split() {
        let screen = Paper::default().screen(false);
        let line = live(Duration::from_secs(12), &report(), &screen);
        assert_eq!(line, "   12s  200/s  3 errors  gray 9.8% (set 10.0%)  stable 0.42/1.3  gray - ms");
        assert!(line.len() <= 80);
    }

    #[test]
    fn the_plain_line_names_every_figure() {
        assert_eq!(
            plain(Duration::from_secs(5), &report()),
            "5 s: 199.7 requests/s, gray 9.8% of 1234 users (set 10.0%), p50/p99 stable 0.42/1.3 ms, gray - ms, 2 errors, \
             1 unsent, 0 lane changes"
        );
    }

    #[test]
    fn the_first_line_has_no_share_yet() {
        let nobody = Report { ramp: Ramp { users: 0, gray: 0 }, ..report() };
        assert!(plain(Duration::ZERO, &nobody).contains("gray - of 0 users"));
    }

    #[tokio::test]
    async fn the_summary_tells_lanes_share_stickiness_and_errors() {
        let (_closing, closes) = tokio::sync::watch::channel(false);
        let shops = open_both(&closes).await.unwrap();
        let screen = Paper::default().screen(false);
        let mut sum = Sum {
            answers: [900, 110],
            released: [850, 110],
            percentiles: [percentiles(420, 1_340), percentiles(510, 15_400)],
            ramp: Ramp { users: 500, gray: 51 },
            visitors: 600,
            troubles: BTreeMap::from([(Trouble::Lost, 2), (Trouble::Status(502), 7)]),
            errors: 9,
            unsent: 0,
            changes: 0,
        };
        let text = summary(Duration::from_millis(10_200), Some(&sum), &shops, &screen);
        assert_eq!(
            text,
            "The demo ended after 10.2 s
  stable 2.4.0 answered 0 requests, took 0 orders
  gray 2.4.1   answered 0 requests, took 0 orders
  visits to stable 900, p50/p99 0.42/1.3 ms
  visits to gray   110, p50/p99 0.51/15 ms
  gray share of the release's requests: 11.5%, by region included
  gray share of the users whom the bucket decides on: 10.2% of 500 users, set 10.0%
  600 visitors, each kept one lane
  9 errors: 2 connection lost, 7 status 502"
        );
        sum.changes = 3;
        sum.unsent = 4;
        let text = summary(Duration::from_secs(1), Some(&sum), &shops, &screen);
        assert!(text.contains("600 visitors, 3 lane changes"), "{text}");
        assert!(text.ends_with("4 visits not made, because every connection was busy"), "{text}");
        let quiet = summary(Duration::from_secs(1), None, &shops, &screen);
        assert_eq!(quiet.lines().count(), 3);
    }

    #[test]
    fn a_warning_names_the_visitor_and_both_lanes() {
        let change = Change { user_id: "visitor-0001".into(), from: Edition::Stable, to: Edition::Gray };
        let text = warning(&change, &Paper::default().screen(false));
        assert_eq!(text, "warning: visitor-0001 changed lane from stable to gray; was the release changed?");
    }
}

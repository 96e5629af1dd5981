//! The page of the metrics lists what there is.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use graylane::telemetry::{Kind, METRICS};

#[test]
fn the_page_of_the_metrics_has_every_one_with_its_kind_and_labels_and_no_other() {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/metrics.md")).unwrap();
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `"));
    let rows = rows.filter_map(|row| {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let name = cells[0].trim_end_matches('`');
        let is_metric = name.starts_with("graylane_") || name.starts_with("process_");
        is_metric.then(|| (name.to_owned(), (cells[1].to_owned(), cells[2].to_owned())))
    });
    let rows: Vec<(String, (String, String))> = rows.collect();
    let listed: BTreeMap<String, (String, String)> = rows.iter().cloned().collect();
    assert_eq!(listed.len(), rows.len(), "a metric stands twice");
    let known = METRICS.iter().map(|metric| {
        let kind = match metric.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        (metric.name.to_owned(), (kind.to_owned(), metric.labels.join(", ")))
    });
    let known: BTreeMap<String, (String, String)> = known.collect();
    for (name, shown) in &known {
        assert_eq!(listed.get(name), Some(shown), "{name}");
    }
    assert_eq!(listed.len(), known.len(), "the page has more: {listed:?}");
}

//! Plots as SVG: bars for peers, a line where a part of the shape is varied.

use std::path::{Path, PathBuf};

use plotters::coord::Shift;
use plotters::prelude::*;

use super::result::{Row, ScenarioResult};

/// A plot cannot be drawn.
#[derive(Debug, thiserror::Error)]
#[error("cannot draw {path}: {problem}", path = path.display())]
pub struct PlotError {
    path: PathBuf,
    problem: String,
}

const SIZE: (u32, u32) = (720, 360);
/// Graylane's colour; peers are grey.
const OURS: RGBColor = RGBColor(20, 110, 180);
const OTHERS: RGBColor = RGBColor(150, 150, 150);

type Drawn = Result<(), Box<dyn std::error::Error>>;

/// Draws a scenario to `NAME.svg` in a folder.
///
/// # Errors
/// Where the file cannot be written.
pub fn draw(result: &ScenarioResult, folder: &Path) -> Result<PathBuf, PlotError> {
    let path = folder.join(format!("{}.svg", result.scenario.name));
    let drawn = |path: &Path| -> Drawn {
        let area = SVGBackend::new(path, SIZE).into_drawing_area();
        area.fill(&WHITE)?;
        match result.scenario.vary {
            None => bars(result, &area)?,
            Some(_) => line(result, &area)?,
        }
        Ok(area.present()?)
    };
    drawn(&path).map_err(|problem| PlotError { path: path.clone(), problem: problem.to_string() })?;
    Ok(path)
}

fn unit(result: &ScenarioResult) -> String {
    let main = result.scenario.figure.main();
    let figure = result.rows.iter().flat_map(|row| &row.figures).find(|figure| figure.name == main);
    figure.map_or(String::new(), |figure| format!("{main}, {}", figure.unit))
}

fn points(result: &ScenarioResult) -> Vec<(&Row, f64)> {
    let main = result.scenario.figure.main();
    result.rows.iter().filter_map(|row| Some((row, row.median(main)?))).collect()
}

fn highest(points: &[(&Row, f64)]) -> f64 {
    points.iter().map(|(_, value)| *value).fold(0.001, f64::max) * 1.15
}

fn bars(result: &ScenarioResult, area: &DrawingArea<SVGBackend<'_>, Shift>) -> Drawn {
    let points = points(result);
    let count = points.len().max(1);
    let mut chart = ChartBuilder::on(area)
        .caption(&result.scenario.title, ("sans-serif", 16))
        .margin(12)
        .x_label_area_size(30)
        .y_label_area_size(60)
        .build_cartesian_2d(0.0..count as f64, 0.0..highest(&points))?;
    chart.configure_mesh().disable_x_mesh().x_labels(0).y_desc(unit(result)).draw()?;
    for (at, (row, value)) in points.iter().enumerate() {
        let (left, right) = (at as f64 + 0.2, at as f64 + 0.8);
        let colour = if row.peer == crate::scenario::Peer::Graylane { OURS } else { OTHERS };
        chart.draw_series([Rectangle::new([(left, 0.0), (right, *value)], colour.filled())])?;
        let name = match row.beside {
            None => row.peer.name().to_owned(),
            Some(beside) => format!("{} ({})", row.peer.name(), beside.name()),
        };
        let text = format!("{name} {}", super::table::number(*value));
        chart.draw_series([Text::new(text, (left, *value + highest(&points) * 0.04), ("sans-serif", 12))])?;
    }
    Ok(())
}

fn line(result: &ScenarioResult, area: &DrawingArea<SVGBackend<'_>, Shift>) -> Drawn {
    let points = points(result);
    let part = result.scenario.vary.as_ref().map_or("", |vary| vary.what.name());
    let values = points.iter().filter_map(|(row, _)| row.value).map(|value| value.max(1) as f64);
    let (least, most) = values.fold((f64::INFINITY, 1.0_f64), |(a, b), value| (a.min(value), b.max(value)));
    let mut chart = ChartBuilder::on(area)
        .caption(&result.scenario.title, ("sans-serif", 16))
        .margin(12)
        .x_label_area_size(40)
        .y_label_area_size(60)
        .build_cartesian_2d((least * 0.8..most * 1.25).log_scale(), 0.0..highest(&points))?;
    chart.configure_mesh().x_desc(part).y_desc(unit(result)).draw()?;
    let mut peers: Vec<_> = result.rows.iter().map(|row| row.peer).collect();
    peers.dedup();
    for peer in peers {
        let colour = if peer == crate::scenario::Peer::Graylane { OURS } else { OTHERS };
        let own = points.iter().filter(|(row, _)| row.peer == peer);
        let own: Vec<(f64, f64)> = own.filter_map(|(row, value)| Some((row.value?.max(1) as f64, *value))).collect();
        chart.draw_series(LineSeries::new(own.clone(), colour.stroke_width(2)))?;
        chart.draw_series(own.iter().map(|point| Circle::new(*point, 4, colour.filled())))?;
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
mod tests {
    use super::*;
    use crate::scenario::Scenario;

    fn check(rest: &str, wanted: &[&str]) {
        let text = format!("name: a\ntitle: One title\nfigure: cpu\npeers: [graylane, nginx]\n{rest}");
        let scenario: Scenario = serde_yaml::from_str(&text).unwrap();
        let mut rows: Vec<Row> = scenario.contestants().iter().map(Row::of).collect();
        rows.iter_mut().enumerate().for_each(|(at, row)| row.add("cpu", "us/request", 10.0 + at as f64));
        let folder = tempfile::tempdir().unwrap();
        let path = draw(&ScenarioResult { scenario, rows, note: None }, folder.path()).unwrap();
        let svg = std::fs::read_to_string(path).unwrap();
        wanted.iter().for_each(|word| assert!(svg.contains(word), "{word} is not in {svg}"));
    }

    #[test]
    fn bars_name_every_peer_with_its_figure() {
        check("", &["<svg", "One title", "graylane 10.0", "nginx 11.0", "cpu, us/request"]);
    }

    #[test]
    fn lines_say_what_is_varied() {
        check("vary: { what: routes, values: [1, 100, 10000] }\n", &["<polyline", "<circle", "routes"]);
    }
}

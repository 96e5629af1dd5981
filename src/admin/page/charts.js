// The last two minutes of a release: four small charts, gray and stable in each on one scale.
const KEPT = 120;
const CHARTS = [
  { name: "rate", value: (lane) => lane.rate, shown: perSecond },
  { name: "errors", value: (lane) => lane.errors, shown: percent },
  { name: "p50", value: (lane) => lane.p50_seconds, shown: millis },
  { name: "p99", value: (lane) => lane.p99_seconds, shown: millis },
];
const histories = new Map();

function remember(release, at) {
  let history = histories.get(release.name);
  if (!history) histories.set(release.name, history = { times: [], stable: CHARTS.map(() => []), gray: CHARTS.map(() => []) });
  history.times.push(at);
  const stable = release.lanes.find((lane) => lane.lane === "stable");
  const gray = release.lanes.find((lane) => lane.lane === "gray") ?? release.lanes.find((lane) => lane.lane !== "stable");
  CHARTS.forEach((chart, place) => {
    history.stable[place].push(stable ? chart.value(stable) : null);
    history.gray[place].push(gray ? chart.value(gray) : null);
  });
  if (history.times.length > KEPT) {
    for (const list of [history.times, ...history.stable, ...history.gray]) list.shift();
  }
}

// light-dark() is only resolved where it is used.
function resolved(name) {
  const probe = make("i", { hidden: true });
  document.body.append(probe);
  probe.style.color = "var(" + name + ")";
  const value = getComputedStyle(probe).color;
  probe.remove();
  return value;
}

function plot(place, width) {
  const line = (name, dash, thick) => ({ stroke: resolved(name), width: thick, dash, points: { show: false }, spanGaps: true });
  const options = {
    width, height: 64, padding: [6, 2, 4, 2], legend: { show: false }, cursor: { show: false },
    scales: { x: { time: false, range: (_, first, last) => [first, Math.max(last, first + 20)] },
      y: { range: (_, __, most) => [0, most > 0 ? most * 1.1 : 1] } },
    axes: [{ show: false }, { show: false }],
    series: [{}, { ...line("--stable", undefined, 1.6) }, { ...line("--gray", undefined, 2.4) }],
  };
  return new uPlot(options, [[], [], []], place);
}

// The four charts of a release as elements, with a function that shows what is known by now.
function chartsOf(release) {
  const parts = CHARTS.map((chart) => {
    const now = { stable: make("span", { class: "stable" }), gray: make("span", { class: "gray" }) };
    const most = make("span", { class: "small" });
    const place = make("div", { class: "plot", "aria-hidden": "true" });
    const box = make("div", { class: "chart", "data-chart": chart.name }, make("h3", null, t(chart.name), most),
      make("div", { class: "now" }, now.stable, now.gray), place);
    return { chart, now, most, place, box, plot: null };
  });
  const show = () => {
    const history = histories.get(release);
    if (!history) return;
    const last = history.times.length - 1;
    parts.forEach((part, at) => {
      const { shown } = part.chart;
      const [stable, gray] = [history.stable[at], history.gray[at]];
      setText(part.now.stable, stable[last] === null ? "–" : shown(stable[last]));
      setText(part.now.gray, gray[last] === null ? "–" : shown(gray[last]));
      const most = Math.max(0, ...stable.filter((value) => value !== null), ...gray.filter((value) => value !== null));
      setText(part.most, most > 0 ? "↑ " + shown(most) : "");
      const width = part.place.clientWidth;
      if (width === 0) return;
      if (part.plot && (part.width !== width || part.theme !== theme)) {
        part.plot.destroy();
        part.plot = null;
      }
      part.plot ??= plot(part.place, width);
      [part.width, part.theme] = [width, theme];
      part.plot.setData([history.times, stable, gray]);
    });
  };
  return { element: make("div", { class: "charts" }, parts.map((part) => part.box)), show };
}

// Incidents: what took releases back, with the figures of both lanes at that moment.
function showIncidents() {
  if (!isNew("incidents", known.incidents)) return;
  const none = make("div", { class: "card" }, empty(t("noIncidents"), t("noIncidentsWhy")));
  const made = [...known.incidents].reverse().map(incident);
  byId("incidents").replaceChildren(...(made.length ? made : [none]));
}

function incident(one) {
  const heads = [t("route"), t("lane"), ...["calls", "failures", "errors", "mean", "p99", "slow", "over"].map((name) => number(t(name)))];
  const figures = one.figures.map((lane) => [lane.route, { text: laneWord(lane.lane), look: laneLook(lane.lane) }, number(count(lane.calls)), number(count(lane.failures)),
    { text: percent(lane.calls > 0 ? lane.failures / lane.calls : null), look: lane.failures > 0 ? "number bad" : "number" }, number(millis(lane.mean_seconds)), number(millis(lane.p99_seconds)),
    number(lane.slow_calls === null ? "–" : count(lane.slow_calls)), number(lane.over_seconds === null ? t("sinceStart") : lane.over_seconds + " s")]);
  const failures = one.failures.map((call) => [make("code", null, call.request_id), time(call.time), call.route,
    { text: laneWord(call.lane), look: laneLook(call.lane) }, number(call.status), call.error ?? "–"]);
  return make("article", { class: "card" },
    make("div", { class: "row" }, make("h2", null, one.release), make("span", { class: "pill bad" }, word("cause", one.cause)),
      make("span", { class: "push quiet" }, t("incident", { n: one.number }) + " · " + t("revision", { n: one.revision }) + " · " + time(one.time))),
    make("div", { class: "why bad" }, make("p", null, one.detail), make("p", { class: "quiet small" }, one.by)),
    figures.length ? make("div", null, make("h3", null, t("verdict")), table(heads, figures)) : null,
    failures.length ? make("details", null, make("summary", null, t("lastFailures") + " (" + failures.length + ")"),
      table([t("request"), t("when"), t("route"), t("lane"), number(t("status")), t("error")], failures)) : null);
}

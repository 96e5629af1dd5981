// Overview: a card for each release, then routes, upstreams and faults.
const LEVELS = ["developer", "ab", "region", "permille", "full"];
const cards = new Map();

const admitted = (release) => (release.latched ? 0 : { full: 1000, permille: release.permille }[release.level] ?? 0);

function stateOf(release) {
  if (release.latched) return { text: t("latched"), look: "pill bad" };
  if (release.paused) return { text: t("openTo", { level: word("level", release.level) }) + " · " + t("paused"), look: "pill warn" };
  return { text: t("openTo", { level: word("level", release.level) }), look: "pill good" };
}

function ladder() {
  const steps = LEVELS.map((level) => make("li", null, word("level", level)));
  const element = make("ol", { class: "ladder" }, steps);
  const show = (release) => {
    element.className = release.latched ? "ladder closed" : "ladder";
    const top = LEVELS.indexOf(release.level);
    steps.forEach((step, at) => {
      step.className = (at <= top ? "open" : "") + (at === top ? " top" : "");
      if (at === top) step.setAttribute("aria-current", "step");
      else step.removeAttribute("aria-current");
    });
  };
  return { element, show };
}

// Buttons for what can be done with a release now.
function actionsOf(release) {
  const button = (action, look) => make("button", { type: "button", class: look, "data-action": action,
    "aria-label": t(action) + " " + release.name, click: () => askAction(release, action) }, t(action));
  return [release.paused ? button("resume") : button("pause"),
    release.latched ? button("reset", "first") : button("rollback", "danger")];
}

function card(release) {
  const state = make("span");
  const actions = make("span", { class: "row push" });
  const steps = ladder();
  const tracks = { set: make("i"), served: make("i") };
  const texts = { set: make("b", { class: "number" }), served: make("b", { class: "number", "data-served": "" }) };
  const charts = chartsOf(release.name);
  const lamps = make("div");
  const verdict = make("span"), reason = make("p", { class: "small" });
  const why = make("div", { class: "why" }, make("p", { class: "row" }, make("b", null, t("verdict")), verdict), reason);
  const row = (name) => [make("span", { class: "quiet" }, t(name)), make("span", { class: "track" }, tracks[name]), texts[name]];
  const element = make("article", { class: "card", "data-release": release.name },
    make("div", { class: "row" }, make("h2", null, release.name), state, actions), steps.element,
    make("div", { class: "shares" }, row("set"), row("served")), charts.element,
    make("div", { class: "pair" }, make("span", { class: "quiet" }, t("breakers")), lamps), why);
  const show = (now, routes) => {
    const shown = stateOf(now);
    setText(state, shown.text, shown.look);
    if (isNew("actions " + now.name, [now.paused, now.latched, now.level, now.permille])) actions.replaceChildren(...actionsOf(now));
    steps.show(now);
    tracks.set.style.width = admitted(now) / 10 + "%";
    tracks.served.style.width = (now.gray_share ?? 0) * 100 + "%";
    setText(texts.set, admitted(now) + " ‰");
    setText(texts.served, percent(now.gray_share));
    charts.show();
    const watched = routes.filter((route) => route.release === now.name)
      .flatMap((route) => route.lanes.filter((lane) => lane.breaker).map((lane) => [route.name, lane.lane, lane.breaker]));
    if (isNew("lamps " + now.name, watched)) lamps.replaceChildren(lampsOf(watched));
    const looks = { worse: "pill bad", "not worse so far": "pill good" };
    setText(verdict, word("verdict", now.verdict ?? "no data"), looks[now.verdict] ?? "pill quiet");
    why.className = "why " + ({ worse: "bad", "not worse so far": "good" }[now.verdict] ?? "");
    setText(reason, now.latched ? latchReason(now.name) : verdictReason(now));
  };
  return { element, show };
}

function lampsOf(watched) {
  if (watched.length === 0) return make("span", { class: "quiet" }, t("noBreakers"));
  return make("ul", { class: "lamps" }, watched.map(([route, lane, state]) =>
    make("li", { class: state }, make("i", { "aria-hidden": "true" }), route + " ", make("span", { class: laneLook(lane) }, laneWord(lane)),
      make("span", { class: "quiet" }, word("breaker", state)))));
}

// Why and since when a release is latched; the list of releases says it, the stream does not.
function latchReason(name) {
  const latch = known.releases.find((release) => release.name === name)?.latch;
  return latch ? t("since", { time: time(latch.time) }) + " · " + [latch.detail, latch.by].filter(Boolean).join(" · ") : "";
}

// Why the verdict is what it is: the sidecar's own line, which is English, or its figures in another language.
function verdictReason(now) {
  const figures = known.releases.find((release) => release.name === now.name)?.verdict?.figures;
  if (language === "en" || !figures) return now.reason ?? "";
  const { errors, slow, calls } = figures;
  return t("verdictLine", { errors: percent(errors.rate.gray), errorsStable: percent(errors.rate.stable), slow: percent(slow.rate.gray),
    slowStable: percent(slow.rate.stable), gray: count(calls.gray), stable: count(calls.stable) });
}

function showOverview(figures) {
  const place = byId("overview");
  const names = figures.releases.map((release) => release.name);
  if (isNew("overview", [names, theme])) {
    cards.clear();
    for (const what of madeOf.keys()) if (/^(actions|lamps|lists) ?/.test(what)) madeOf.delete(what);
    for (const release of figures.releases) cards.set(release.name, card(release));
    const none = make("div", { class: "card" }, empty(t("noReleases"), t("noReleasesWhy")));
    place.replaceChildren(...(names.length ? [...cards.values()].map((one) => one.element) : [none]),
      make("div", { class: "card", id: "routes" }), make("div", { class: "card", id: "upstreams" }), make("div", { class: "card", id: "faults", hidden: true }));
  }
  figures.releases.forEach((release) => cards.get(release.name).show(release, figures.routes));
  showRoutes(figures.routes);
  if (isNew("lists", [known.upstreams, known.faults])) showLists();
}

// Cells are changed in place: these figures move every second.
function showRoutes(routes) {
  const place = byId("routes");
  const rows = routes.flatMap((route) => route.lanes.map((lane) => [route, lane]));
  const texts = rows.map(([, lane]) => [perSecond(lane.rate), percent(lane.share), percent(lane.errors), millis(lane.p50_seconds), millis(lane.p99_seconds)]);
  if (isNew("routes", [rows.map(([route, lane]) => [route.name, lane.lane, lane.breaker]), theme]) || !place.firstChild) {
    const heads = [t("route"), t("lane"), ...["rate", "share", "errors", "p50", "p99"].map((name) => number(t(name))), t("breaker")];
    const looks = { open: "bad", half_open: "warn", closed: "good" };
    const cells = rows.map(([route, lane], at) => [lane === route.lanes[0] ? route.name : { text: " " },
      { text: laneWord(lane.lane), look: laneLook(lane.lane) }, ...texts[at].map(number),
      lane.breaker ? { text: word("breaker", lane.breaker), look: looks[lane.breaker] } : { text: "–", look: "quiet" }]);
    const made = table(heads, cells);
    made.setAttribute("aria-label", t("routes"));
    place.replaceChildren(make("h2", null, t("routes")), made);
    return;
  }
  [...place.querySelectorAll("tbody tr")].forEach((row, at) => texts[at].forEach((text, column) => setText(row.cells[column + 2], text)));
}

function showLists() {
  const upstreams = known.upstreams.flatMap((upstream) => upstream.endpoints.map((endpoint, at) => {
    const health = endpoint.healthy === null ? { text: t("unknown"), look: "quiet" }
      : endpoint.healthy ? { text: t("healthy"), look: "good" } : { text: t("unhealthy"), look: "bad" };
    return [at === 0 ? upstream.name + (upstream.panic ? " · " + t("panic") : "") : { text: " " }, endpoint.address, health, upstream.protocol,
      number(at === 0 ? count(upstream.active) : " "), number(at === 0 ? count(upstream.idle) : " ")];
  }));
  const heads = [t("upstream"), t("endpoint"), t("health"), t("protocol"), number(t("active")), number(t("idle"))];
  const made = table(heads, upstreams);
  made.setAttribute("aria-label", t("upstreams"));
  byId("upstreams").replaceChildren(make("h2", null, t("upstreams")), made);
  const faults = known.faults.filter((fault) => fault.on);
  byId("faults").hidden = faults.length === 0;
  byId("faults").replaceChildren(make("h2", null, t("faults")), make("ul", null, faults.map((fault) =>
    make("li", null, make("b", null, fault.name), " " + fault.kind + " · " + fault.routes.join(", ") + " · " + laneWord(fault.lane) + " · " + fault.permille + " ‰ · → " + time(fault.expires)))));
}

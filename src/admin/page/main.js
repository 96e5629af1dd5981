// The page: its head, its views, and what keeps them up to date.
const VIEWS = ["overview", "buckets", "explain", "changes", "incidents"];
const REFRESH = 5000;
const known = { config: null, releases: [], routes: [], upstreams: [], faults: [], audit: [], trail: null, history: [], incidents: [] };
let latest = null;
let connection = "connecting";

const view = () => (VIEWS.includes(location.hash.slice(1)) ? location.hash.slice(1) : "overview");

function showHead() {
  document.documentElement.lang = language;
  document.documentElement.dataset.theme = theme;
  for (const element of document.querySelectorAll("[data-text]")) setText(element, t(element.dataset.text));
  for (const element of document.querySelectorAll("[data-label]")) element.setAttribute("aria-label", t(element.dataset.label));
  const other = byId("language");
  setText(other, language === "zh" ? "English" : "中文");
  other.lang = language === "zh" ? "en" : "zh";
  const latched = known.releases.filter((release) => release.latched).length;
  if (isNew("nav", [view(), latched])) {
    const focused = document.activeElement?.closest("#views a")?.hash;
    byId("views").replaceChildren(...VIEWS.map((name) => make("a", { href: "#" + name, "aria-current": name === view() ? "page" : null }, t(name),
      name === "incidents" && latched ? make("span", { class: "count" }, String(latched)) : null)));
    if (focused) byId("views").querySelector('a[href="' + focused + '"]').focus();
  }
  showToken();
  showConnection();
  if (known.config === null) return;
  const { config } = known;
  document.title = config.service + " · graylane";
  setText(byId("service"), config.service);
  setText(byId("environment"), config.environment);
  setText(byId("lane"), config.lane);
  setText(byId("version"), latest?.version ?? config.version);
}

function showToken() {
  setText(byId("token"), t("token") + (token === null ? "" : " ✓"));
}

function showConnection() {
  const ready = latest?.ready ?? "";
  const [text, look] = connection === "live" ? [ready === "ready" ? t("ready") : ready, ready === "ready" ? "pill good" : "pill bad"]
    : connection === "connecting" ? [t("connecting"), "pill quiet"] : [t(connection === "token" ? "needsToken" : "lost"), "pill bad"];
  setText(byId("ready"), text, look);
  const kept = known.config?.settings.state;
  const refused = known.config?.refused;
  const warnings = [kept?.is === "failing" ? kept.problem : "", refused ? refused.source + ": " + refused.problems.join("; ") : ""].filter(Boolean);
  byId("alert").hidden = warnings.length === 0;
  setText(byId("alert"), warnings.join(" · "));
}

function showView() {
  const shown = view();
  for (const name of VIEWS) byId(name).hidden = name !== shown;
  if (shown === "overview" && latest) showOverview(latest);
  if (shown === "buckets") showBuckets().catch(showProblem);
  if (shown === "explain") makeExplain();
  if (shown === "changes") showChanges();
  if (shown === "incidents") showIncidents();
}

function showProblem(error) {
  console.warn(String(error));
}

// Everything that does not change every second.
async function refresh() {
  const names = ["config", "releases", "routes", "upstreams", "faults", "audit", "config/history", "incidents?last=50"];
  const [config, ...lists] = await Promise.all(names.map(ask));
  Object.assign(known, { config }, ...lists);
  showHead();
  showView();
}

function heard(figures) {
  const isOther = latest?.version !== figures.version || JSON.stringify(latest?.releases.map(stateKey)) !== JSON.stringify(figures.releases.map(stateKey));
  latest = figures;
  connection = "live";
  figures.releases.forEach((release) => remember(release, figures.number));
  showConnection();
  if (view() === "overview") showOverview(figures);
  if (view() === "buckets" && figures.number % 2 === 0) showBuckets().catch(showProblem);
  if (isOther) refresh().catch(showProblem);
}
const stateKey = (release) => [release.name, release.level, release.permille, release.latched, release.paused];

function state(now) {
  if (now === "token" && connection !== "token" && !byId("dialog").open) askToken();
  connection = now;
  showConnection();
}

addEventListener("hashchange", () => {
  showHead();
  showView();
  byId("main").focus({ preventScroll: true });
  scrollTo(0, 0);
});
byId("language").addEventListener("click", () => {
  language = language === "zh" ? "en" : "zh";
  keep("language", language);
  showHead();
  showView();
});
byId("theme").addEventListener("click", () => {
  theme = theme === "dark" ? "light" : "dark";
  keep("theme", theme);
  showHead();
  showView();
});
byId("token").addEventListener("click", askToken);
addEventListener("resize", showView);
showHead();
refresh().catch(showProblem);
setInterval(() => { if (!document.hidden) refresh().catch(showProblem); }, REFRESH);
listen(heard, state);

// Explain: one request in, the whole reasoning out, as a tree.
const explained = { answer: null, problem: null };

function makeExplain() {
  if (!isNew("explain", [])) return;
  const before = ["method", "url", "headers", "client", "body"].map((name) => byId("x-" + name)?.value);
  const field = (name, label, element) => make("div", null, make("label", { for: "x-" + name }, label), element);
  const methods = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"].map((name) => make("option", null, name));
  byId("explain").replaceChildren(make("div", { class: "columns" },
    make("form", { class: "card form", submit: askExplain },
      make("div", { class: "line" }, field("method", t("method"), make("select", { id: "x-method" }, methods)),
        field("url", t("url"), make("input", { id: "x-url", required: true, spellcheck: "false", value: before[1] ?? firstPath() }))),
      field("headers", t("headers"), make("textarea", { id: "x-headers", rows: "5", spellcheck: "false", value: before[2] ?? "x-user-id: u1" })),
      field("client", t("clientIp"), make("input", { id: "x-client", spellcheck: "false", value: before[3] ?? "" })),
      field("body", t("body"), make("textarea", { id: "x-body", rows: "4", spellcheck: "false", value: before[4] ?? "" })),
      make("div", null, make("button", { class: "first" }, t("explainIt")))),
    make("div", { class: "card", id: "reasoning", "aria-live": "polite" })));
  if (before[0]) byId("x-method").value = before[0];
  showReasoning();
}

// A path that the first route with a release would take, its places filled with something.
function firstPath() {
  const route = known.routes.find((one) => one.release) ?? known.routes[0];
  return route ? route.path.replace(/\{\*[^}]*\}/, "").replace(/\{[^}]*\}/g, "1") : "/";
}

async function askExplain(event) {
  event.preventDefault();
  const headers = {};
  for (const line of byId("x-headers").value.split("\n").filter((one) => one.trim())) {
    const [name, ...rest] = line.split(":");
    (headers[name.trim()] ??= []).push(rest.join(":").trim());
  }
  const question = { method: byId("x-method").value, url: byId("x-url").value, headers };
  if (byId("x-client").value.trim()) question.client_ip = byId("x-client").value.trim();
  if (byId("x-body").value) question.body = byId("x-body").value;
  try {
    Object.assign(explained, { answer: await send("explain", question), problem: null });
  } catch (error) {
    Object.assign(explained, { answer: null, problem: error.message });
  }
  showReasoning();
}

function showReasoning() {
  const place = byId("reasoning");
  const { answer, problem } = explained;
  if (problem) return place.replaceChildren(make("p", { class: "bad" }, problem));
  if (!answer) return place.replaceChildren(empty(t("explainEmpty"), t("explainEmptyWhy")));
  const mark = (holds) => (holds === true ? "yes" : holds === false ? "no" : "off");
  const facts = Object.entries(answer.facts ?? {}).map(([name, fact]) => [make("code", null, name),
    fact.value === null ? { text: "–", look: "quiet" } : make("code", null, shownValue(fact.value)),
    { text: fact.source ?? t("tried") + ": " + (fact.tried ?? []).map((one) => one.source + " (" + one.why + ")").join(", "), look: "quiet small" }]);
  const levels = (answer.levels ?? []).map((level) => make("li", { class: level.open ? mark(level.hit) : "off" },
    make("b", null, word("level", level.level)), make("span", { class: "quiet" }, " · " + (level.open ? level.why : t("closedLevel")))));
  const conditions = answer.conditions ?? [];
  place.replaceChildren(
    make("p", { class: "verdict" }, make("span", { class: laneLook(answer.lane) }, t("goesTo", { lane: laneWord(answer.lane) }))),
    make("p", { class: "quiet" }, [t("route") + " " + answer.route, answer.release ? t("release") + " " + answer.release : "",
      t("by") + " " + word("level", answer.level), t("reason") + " " + answer.reason.replaceAll("_", " "),
      answer.bucket === null || answer.bucket === undefined ? "" : t("bucket") + " " + answer.bucket,
      answer.upstream ? t("upstream") + " " + answer.upstream : ""].filter(Boolean).join(" · ")),
    make("details", { open: true }, make("summary", null, t("levels")), make("ul", { class: "tree" }, levels)),
    make("details", { open: true }, make("summary", null, t("conditionsHold")),
      conditions.length ? make("ul", { class: "tree" }, conditions.map((one) => conditionOf(one, mark))) : make("p", { class: "quiet" }, t("noConditions"))),
    make("details", { open: true }, make("summary", null, t("facts")), table([t("fact"), t("value"), t("from")], facts)),
    make("details", null, make("summary", null, t("whole")), make("pre", { class: "mono scroll", tabindex: "0" }, JSON.stringify(answer, null, 2))));
}

const shownValue = (value) => (typeof value === "string" ? value : JSON.stringify(value));

// One condition: a leaf says what was wanted and what there was, a group holds others.
function conditionOf(condition, mark) {
  const groups = Object.entries(condition).filter(([, value]) => value !== null && typeof value === "object" && (Array.isArray(value)
    ? value.some((one) => one !== null && typeof one === "object" && "holds" in one) : "holds" in value));
  const leaf = condition.key === undefined ? [] : [make("code", null, condition.key + " " + condition.operator + " " + shownValue(condition.wanted)),
    make("span", { class: "quiet" }, " ← " + (condition.actual === null ? "–" : shownValue(condition.actual)))];
  const rest = condition.key === undefined && groups.length === 0 ? [make("code", null, JSON.stringify(condition))] : [];
  const inside = groups.map(([name, value]) => [make("b", null, name), make("ul", { class: "tree" }, [value].flat().map((one) => conditionOf(one, mark)))]);
  return make("li", { class: mark(condition.holds) }, leaf, rest, ...inside.flat());
}

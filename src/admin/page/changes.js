// Changes: the audit trail with its differences, the versions, plans, and the dialogs that ask before anything is done.
const shownRecords = 60;

function showChanges() {
  if (!isNew("changes", [known.audit, known.trail, known.history, known.releases.map((one) => [one.name, one.paused, one.latched, one.level, one.permille])])) return;
  const place = byId("changes");
  const text = byId("plan-text")?.value ?? "";
  const told = byId("plan-told");
  const releases = known.releases.map((release) => {
    const state = stateOf(release);
    return make("div", { class: "row" }, make("b", null, release.name), make("span", { class: state.look }, state.text), make("span", { class: "row push" }, actionsOf(release)));
  });
  const versions = [...known.history].reverse().map((past) => [make("code", null, past.version), { text: time(past.time), look: "small" }, number(count(past.bytes) + " B"),
    past.in_force ? { text: t("inForce"), look: "good" } : make("button", { type: "button", click: () => askVersion(past.version) }, t("putBack"))]);
  place.replaceChildren(make("div", { class: "columns" },
    make("div", { class: "view" },
      releases.length ? make("div", { class: "card view" }, make("h2", null, t("actions")), releases) : null,
      make("div", { class: "card" }, make("h2", null, t("history")), table([t("version"), t("when"), number(t("size")), ""], versions)),
      make("form", { class: "card form", submit: askPlan }, make("h2", null, t("plan")), make("div", null,
        make("label", { for: "plan-text" }, t("planWhy")), make("textarea", { id: "plan-text", rows: "7", required: true, spellcheck: "false", value: text })),
        make("div", null, make("button", { class: "first" }, t("planIt"))), told ?? make("div", { id: "plan-told", "aria-live": "polite" }))),
    make("div", { class: "card" }, make("div", { class: "row" }, make("h2", null, t("audit")), make("span", { class: "push quiet small" }, trailOf(known.trail))),
      known.audit.length ? make("ol", { class: "trail" }, known.audit.slice(-shownRecords).reverse().map(record)) : empty(t("noAudit"), ""))));
}

const trailOf = (trail) => (trail?.file || trail?.dir || trail?.kept === true ? t("trailKept") : "");

function record(one) {
  const look = { refused: "bad", latched: "bad", lost: "bad", paused: "warn", rolled_back: "warn", fault_set: "warn" }[one.action] ?? "";
  const version = one.version ? [" ", make("code", null, one.version)] : [" ", make("code", null, one.changed.join(", "))];
  const lines = [...one.differences ?? []].map(difference).concat(one.problems.map((text) => make("li", { class: "bad mono" }, text)));
  return make("li", { class: look }, make("div", null, make("b", null, word("action", one.action)), version),
    make("div", { class: "quiet small" }, [time(one.time), one.by, one.detail, one.version ? one.source : ""].filter(Boolean).join(" · ")),
    lines.length ? make("ul", { class: "diff" }, lines) : null);
}

// `releases.pricing-v2.permille: 50 -> 80`, with what was and what is told apart.
function difference(text) {
  const [, name, old, now] = /^([^:]+): (.*) -> (.*)$/s.exec(text) ?? [];
  const [, alone, what, value] = /^(\S+): (added|removed) (.*)$/s.exec(text) ?? [];
  if (alone !== undefined) return make("li", { class: "mono" }, alone + ": ", make(what === "added" ? "ins" : "del", null, value));
  if (name === undefined) return make("li", { class: "mono" }, text);
  return make("li", { class: "mono" }, name + ": ", make("del", null, old), " → ", make("ins", null, now));
}

async function askPlan(event) {
  event.preventDefault();
  const told = byId("plan-told");
  try {
    const { plan, summary } = await call("POST", "/api/v1/config/plan", byId("plan-text").value, "application/yaml");
    const lines = plan.differences.map((one) => (typeof one === "string" ? one : Object.values(one).filter((part) => part !== null).map(shownValue).join(" ")));
    told.replaceChildren(make("p", null, make("code", null, plan.from), " → ", make("code", null, plan.to)),
      summary.length ? make("ul", null, summary.map((text) => make("li", null, text))) : make("p", { class: "quiet" }, lines.length ? "" : t("planNothing")),
      lines.length ? make("ul", { class: "diff" }, lines.map(difference)) : "");
  } catch (error) {
    told.replaceChildren(make("p", { class: "bad" }, error.message), make("ul", null, (error.problems ?? []).map((text) => make("li", { class: "mono bad" }, text))));
  }
}

// A dialog that says what will happen, takes reason, name and (where there is none yet) the token, and shows what was refused.
function confirmDialog({ title, does, danger, fields, act }) {
  const dialog = byId("dialog");
  const input = (name, label, kind) => make("div", null, make("label", { for: "d-" + name }, label),
    make("input", { id: "d-" + name, type: kind ?? "text", autocomplete: "off", maxlength: "200" }));
  const wanted = fields.map((name) => input(name, t(name + "Field")));
  if (token === null) wanted.push(input("token", t("tokenField"), "password"));
  const problem = make("p", { class: "bad", role: "alert" });
  const confirm = make("button", { class: danger ? "danger" : "first", "data-confirm": "" }, t("confirm"));
  const submit = async (event) => {
    event.preventDefault();
    confirm.disabled = true;
    try {
      const value = (name) => byId("d-" + name)?.value.trim() || undefined;
      const shown = value("token");
      const before = token;
      if (shown) token = shown;
      try {
        await act(value);
      } catch (error) {
        token = error.status === 401 ? before : token;
        throw error;
      }
      dialog.close();
      await refresh();
    } catch (error) {
      setText(problem, error.message);
    } finally {
      confirm.disabled = false;
      showToken();
    }
  };
  dialog.replaceChildren(make("form", { submit }, make("h2", { id: "dialog-title" }, title), make("p", null, does), wanted, problem,
    make("div", { class: "row" }, make("button", { type: "button", class: "push", click: () => dialog.close() }, t("cancel")), confirm)));
  dialog.showModal();
}

function askAction(release, action) {
  const share = action === "reset" ? admitted({ ...release, latched: false }) : admitted(release);
  confirmDialog({
    title: t("ask_" + action, { release: release.name }),
    does: t("does_" + action, { share, level: word("level", release.level) }),
    danger: action === "rollback",
    fields: ["reason", "by"],
    act: (value) => send("releases/" + encodeURIComponent(release.name) + "/" + action, { reason: value("reason"), by: value("by") }),
  });
}

function askVersion(version) {
  confirmDialog({
    title: t("ask_version", { release: version }), does: t("does_version"), danger: true, fields: ["by", "confirm"],
    act: (value) => send("config/rollback", { version, by: value("by"), confirm: value("confirm") }),
  });
}

// The token by itself, where reading needs one.
function askToken() {
  const dialog = byId("dialog");
  const use = async (event) => {
    event.preventDefault();
    token = byId("d-token").value.trim() || null;
    dialog.close();
    showToken();
    wakeUp();
    await refresh();
  };
  const forget = () => {
    token = null;
    dialog.close();
    showToken();
  };
  dialog.replaceChildren(make("form", { submit: use }, make("h2", { id: "dialog-title" }, t("tokenTitle")), make("p", null, t("tokenWhy")),
    make("div", null, make("label", { for: "d-token" }, t("tokenField")), make("input", { id: "d-token", type: "password", autocomplete: "off" })),
    make("div", { class: "row" }, make("button", { type: "button", click: forget }, t("forget")),
      make("button", { type: "button", class: "push", click: () => dialog.close() }, t("cancel")), make("button", { class: "first" }, t("use")))));
  dialog.showModal();
}

// Making and changing elements. Every text goes through textContent, so that a name can never become markup.
const byId = (id) => document.getElementById(id);

// An element with properties (class, or any attribute; functions become listeners) and children (elements or texts).
function make(tag, properties, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") element.addEventListener(name, value);
    else if (name === "class") element.className = value;
    else if (name === "value") element.value = value;
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== ""));
  return element;
}

function setText(element, text, className) {
  const value = String(text);
  if (element.textContent !== value) element.textContent = value;
  if (className !== undefined && element.className !== className) element.className = className;
}

// A table of rows of cells; a cell is a text, or { text, look }, or an element.
function table(heads, rows) {
  const cell = (tag, value) => {
    if (value instanceof Node) return make(tag, null, value);
    const { text, look } = value !== null && typeof value === "object" ? value : { text: value };
    return make(tag, { class: look, scope: tag === "th" ? "col" : null }, String(text ?? "–"));
  };
  const head = make("thead", null, make("tr", null, heads.map((value) => cell("th", value))));
  const body = make("tbody", null, rows.map((row) => make("tr", null, row.map((value) => cell("td", value)))));
  return make("div", { class: "scroll", tabindex: "0", role: "group" }, make("table", null, head, body));
}

const number = (text) => ({ text, look: "number" });
const laneLook = (lane) => (lane === "stable" ? "stable" : "gray");
const count = (value) => value.toLocaleString(language === "zh" ? "zh-CN" : "en");
const time = (text) => String(text).slice(0, 19).replace("T", " ") + " UTC";
const percent = (share) => (share === null || share === undefined ? "–" : (share * 100).toFixed(share < 0.1 ? 2 : 1) + " %");
function millis(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  const value = seconds * 1000;
  return (value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2)) + " ms";
}
const perSecond = (rate) => (rate >= 100 ? rate.toFixed(0) : rate.toFixed(1)) + "/s";

// Whether what a view is made of is other than the last time; only then it is made anew, so that a selection, a focus or a
// screen reader is not thrown out every second.
const madeOf = new Map();
function isNew(what, material) {
  const text = language + JSON.stringify(material);
  if (madeOf.get(what) === text) return false;
  madeOf.set(what, text);
  return true;
}

function empty(title, text) {
  return make("div", { class: "empty" }, make("b", null, title), text);
}

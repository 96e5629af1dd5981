// Chromium, as the tests drive it, and what every test of the page leans on.
import { mkdtempSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

const require = createRequire(process.env.GRAYLANE_TEST_NODE + "/");
const { chromium } = require("playwright-core");
const axe = require.resolve("axe-core");

const FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync"];
export const PATIENCE = 20000;

// A browser with nothing of anybody else's in it; `close` takes its folder away too.
export async function openBrowser(options = {}) {
  const folder = mkdtempSync(join(tmpdir(), "graylane-page-"));
  const context = await chromium.launchPersistentContext(folder, {
    executablePath: "/usr/bin/chromium", headless: true, args: FLAGS, viewport: { width: 1280, height: 900 }, locale: "en-GB", ...options });
  const close = async () => {
    await context.close();
    rmSync(folder, { recursive: true, force: true });
  };
  return { context, close };
}

// A page whose complaints (exceptions, refused resources) are kept; lost connections are no complaint.
export async function openPage(context, address) {
  const page = await context.newPage();
  page.setDefaultTimeout(PATIENCE);
  const complaints = [];
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("dialog", (dialog) => {
    complaints.push("a dialog of a script: " + dialog.message());
    dialog.dismiss();
  });
  page.on("console", (message) => {
    if (message.type() === "error" && !/Failed to load resource|net::ERR/.test(message.text())) complaints.push(message.text());
  });
  await page.goto(address);
  return { page, complaints };
}

export function check(condition, what) {
  if (!condition) throw new Error(what);
}

export async function eventually(what, ask) {
  const end = Date.now() + PATIENCE;
  for (;;) {
    const found = await ask();
    if (found) return found;
    if (Date.now() > end) throw new Error("waited in vain for " + what);
    await new Promise((done) => setTimeout(done, 50));
  }
}

// What axe-core finds serious or worse. It is run by the driver, outside of the page's policy.
export async function seriousFindings(page, where) {
  await page.evaluate(require("node:fs").readFileSync(axe, "utf8"));
  const { violations } = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
  const serious = violations.filter((one) => ["serious", "critical"].includes(one.impact));
  return serious.map((one) => where + ": " + one.id + " " + one.help + " " + one.nodes.map((node) => node.target + " " + node.failureSummary).join(" | "));
}

// A way to the sidecar that can be cut.
export async function openWay(address) {
  const { hostname, port } = new URL(address);
  const sockets = new Set();
  let isCut = false;
  const server = net.createServer((client) => {
    if (isCut) return client.destroy();
    const upstream = net.connect(Number(port), hostname);
    for (const [one, other] of [[client, upstream], [upstream, client]]) {
      sockets.add(one);
      one.on("error", () => other.destroy());
      one.on("close", () => {
        sockets.delete(one);
        other.destroy();
      });
      one.pipe(other);
    }
  });
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  const cut = (now) => {
    isCut = now;
    if (now) sockets.forEach((socket) => socket.destroy());
  };
  const close = () => {
    cut(true);
    server.close();
  };
  return { address: "http://127.0.0.1:" + server.address().port + "/", cut, close };
}

// So many requests a second by as many users, until it is stopped; tells when gray answered last.
export function sendTraffic(address, rate) {
  let sent = 0;
  let lastGray = 0;
  const timer = setInterval(async () => {
    sent += 1;
    try {
      const answer = await fetch(address + "api/v1/sku/" + (sent % 7), { headers: { "x-user-id": "u" + (sent * 7919 % 500) } });
      await answer.text();
      if (answer.headers.get("x-lane") === "gray") lastGray = Date.now();
    } catch { /* the sidecar ends before the traffic does */ }
  }, 1000 / rate);
  return { stop: () => clearInterval(timer), lastGray: () => lastGray };
}

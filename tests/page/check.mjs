// The page in a real browser against a real sidecar. Usage: check.mjs ADMIN TRAFFIC TOKEN, with the addresses ending in "/".
// Each check goes on where the one before ended; what fails says so and ends with 1.
import { check, eventually, openBrowser, openPage, openWay, sendTraffic, seriousFindings } from "./browser.mjs";

const [admin, traffic, token] = process.argv.slice(2);
const HOSTILE = "<script>alert(1)</script>";
const VIEWS = ["overview", "buckets", "explain", "changes", "incidents"];

const visitors = sendTraffic(traffic, 60);
const way = await openWay(admin);
const { context, close } = await openBrowser();
const { page, complaints } = await openPage(context, way.address);
const chart = (name, lane) => page.locator(`.chart[data-chart=${name}] .now .${lane}`);
const tokenHeaders = { authorization: "Bearer " + token, "content-type": "application/json" };

async function valuesAreLive() {
  const seen = new Set();
  await eventually("the rate of gray to move", async () => seen.add(await chart("rate", "gray").innerText()).size > 2);
  check([...seen].some((text) => parseFloat(text) > 0), "gray has a rate: " + [...seen]);
  check(/ms$/.test(await chart("p99", "stable").innerText()), "stable has a P99");
  await eventually("the share that gray serves", async () => parseFloat(await page.locator("[data-served]").innerText()) > 0);
  const painted = await page.locator(".plot canvas").count();
  check(painted === 4, "four charts are drawn: " + painted);
}

async function itSpeaksBothLanguages() {
  await page.click("#language");
  check(await page.getAttribute("html", "lang") === "zh", "the page is in Chinese");
  check((await page.innerText("#views")).includes("总览"), "and so are its views");
  check((await page.innerText("#overview")).includes("实际承接"), "and what is in them");
  await page.click("#language");
  check((await page.innerText("#views")).includes("Overview"), "and in English again");
}

async function everyViewIsAccessible() {
  const findings = [];
  for (const theme of ["light", "dark"]) {
    if (await page.getAttribute("html", "data-theme") !== theme) await page.click("#theme");
    for (const name of VIEWS) {
      await page.click(`#views a[href="#${name}"]`);
      await page.waitForSelector(`#${name}:not([hidden]) > *`);
      findings.push(...await seriousFindings(page, name + " " + theme));
    }
  }
  const ground = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  check(/rgb\((\d|[12]\d), /.test(ground), "dark is dark: " + ground);
  await page.click("#theme");
  check(findings.length === 0, findings.join("\n"));
}

async function aNarrowScreenHoldsEverything() {
  await page.setViewportSize({ width: 375, height: 740 });
  for (const name of VIEWS) {
    await page.click(`#views a[href="#${name}"]`);
    await page.waitForTimeout(150);
    const width = await page.evaluate(() => document.documentElement.scrollWidth);
    check(width <= 375, name + " is wider than a phone: " + width);
  }
  await page.setViewportSize({ width: 1280, height: 900 });
}

async function aHostileUserIsText() {
  await page.click('#views a[href="#buckets"]');
  await page.fill("#bucket-key", HOSTILE);
  await page.press("#bucket-key", "Enter");
  await eventually("the user's bucket", async () => (await page.innerText("#bucket-found")).includes(HOSTILE));
  check(await page.locator("#bucket-grid i").count() === 1000, "there are 1000 cells");
  check(await page.locator("#bucket-grid i.found").count() === 1, "one of them lights up");
  await eventually("traffic in the buckets", async () => parseInt((await page.innerText("#bucket-sum")).replaceAll(",", ""), 10) > 10);
  await page.click('#views a[href="#explain"]');
  await page.fill("#x-url", "/api/v1/sku/1");
  await page.fill("#x-headers", "x-user-id: " + HOSTILE);
  await page.click("#explain button.first");
  await eventually("the reasoning", async () => (await page.innerText("#reasoning")).includes(HOSTILE));
  await page.fill("#x-url", "nowhere");
  await page.click("#explain button.first");
  await eventually("what is wrong with the question", async () => (await page.innerText("#reasoning")).includes("must be a path"));
}

async function errorsOfGrayShow() {
  await page.click('#views a[href="#overview"]');
  const fault = { name: "drill", routes: ["all"], lane: "gray", permille: 1000, abort: 503, expires: new Date(Date.now() + 60000).toISOString() };
  const set = await fetch(admin + "api/v1/faults", { method: "POST", headers: tokenHeaders, body: JSON.stringify(fault) });
  check(set.status === 201, "the fault is set: " + await set.text());
  await eventually("errors of gray", async () => parseFloat(await chart("errors", "gray").innerText()) > 50);
  await fetch(admin + "api/v1/faults/drill", { method: "DELETE", headers: tokenHeaders });
  await eventually("no errors of gray", async () => parseFloat(await chart("errors", "gray").innerText()) === 0);
}

async function aDroppedStreamComesBack() {
  way.cut(true);
  await eventually("the loss to show", async () => (await page.innerText("#ready")).includes("no answer"));
  way.cut(false);
  await eventually("the figures to come back", async () => (await page.innerText("#ready")) === "ready");
  const before = await chart("rate", "stable").innerText();
  await eventually("them to move again", async () => await chart("rate", "stable").innerText() !== before);
}

// Tab until the element has the focus, as somebody without a mouse would.
async function tabTo(selector) {
  for (let step = 0; step < 80; step += 1) {
    if (await page.evaluate((wanted) => document.activeElement?.matches(wanted), selector)) return;
    await page.keyboard.press("Tab");
  }
  throw new Error("no way by keyboard to " + selector);
}

async function aRollbackByKeyboardTakesTrafficAway() {
  await page.evaluate(() => document.activeElement?.blur());
  await tabTo("[data-action=rollback]");
  await page.keyboard.press("Enter");
  await tabTo("#d-reason");
  await page.keyboard.type("by the keyboard " + HOSTILE);
  await tabTo("#d-token");
  await page.keyboard.type("not the token at all, but long enough");
  await page.keyboard.press("Enter");
  await eventually("the wrong token to be refused", async () => (await page.innerText("#dialog")).includes("token that may do this"));
  await page.keyboard.press("Control+a");
  await page.fill("#d-token", token);
  await tabTo("[data-confirm]");
  const pressed = Date.now();
  await page.keyboard.press("Enter");
  await page.waitForSelector("#dialog:not([open])", { state: "attached" });
  await eventually("the card to say so", async () => (await page.innerText(".ladder.closed + .shares")).includes("0 ‰"));
  await page.waitForTimeout(2000);
  const took = visitors.lastGray() - pressed;
  check(took < 1000, "gray still served " + took + " ms after");
  check(visitors.lastGray() > pressed - 5000, "and it did serve before");
  console.log("the last answer of gray came " + Math.max(0, took) + " ms after the rollback was confirmed");
}

async function whatHappenedIsShown() {
  await page.click('#views a[href="#incidents"]');
  await eventually("the incident", async () => (await page.innerText("#incidents")).includes(HOSTILE));
  await page.click('#views a[href="#changes"]');
  await eventually("the record", async () => (await page.innerText("#changes")).includes("release rolled back"));
  const kept = await page.evaluate(() => JSON.stringify({ ...localStorage, ...sessionStorage }) + document.cookie);
  check(!kept.includes(token), "the token is kept in memory only");
  await page.click("#changes [data-action=reset]");
  await page.click("[data-confirm]");
  await eventually("gray to serve again", async () => visitors.lastGray() > Date.now() - 500);
}

async function firstPaint() {
  await page.click('#views a[href="#overview"]');
  const times = [];
  for (let visit = 0; visit < 5; visit += 1) {
    await page.reload();
    await page.waitForSelector("[data-release]");
    times.push(await page.evaluate(() => performance.getEntriesByName("first-contentful-paint")[0].startTime));
  }
  times.sort((one, other) => one - other);
  console.log("first contentful paint: median " + times[2].toFixed(0) + " ms of " + times.map((one) => one.toFixed(0)).join(", "));
}

const CHECKS = [valuesAreLive, itSpeaksBothLanguages, everyViewIsAccessible, aNarrowScreenHoldsEverything, aHostileUserIsText, errorsOfGrayShow,
  aDroppedStreamComesBack, aRollbackByKeyboardTakesTrafficAway, whatHappenedIsShown, firstPaint];
let failed = 0;
try {
  for (const one of CHECKS) {
    try {
      await one();
      console.log("ok " + one.name);
    } catch (error) {
      failed += 1;
      console.log("FAILED " + one.name + ": " + (error.stack ?? error));
    }
  }
  if (complaints.length) {
    failed += 1;
    console.log("FAILED the page complained: " + complaints.join("\n"));
  }
} finally {
  visitors.stop();
  await close();
  way.close();
}
process.exit(failed ? 1 : 0);

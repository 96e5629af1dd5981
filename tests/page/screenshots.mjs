// Pictures of every view for the documentation. Usage: screenshots.mjs ADMIN FOLDER [light|dark] [en|zh], of a sidecar with traffic.
import { join } from "node:path";
import { eventually, openBrowser, openPage } from "./browser.mjs";

const [admin, folder, theme = "light", language = "en"] = process.argv.slice(2);
const { context, close } = await openBrowser({ colorScheme: theme, locale: language === "zh" ? "zh-CN" : "en-GB" });
const { page, complaints } = await openPage(context, admin);
await page.waitForSelector("[data-release]");
const seconds = Number(process.env.SECONDS_OF_HISTORY ?? 30);
await page.waitForTimeout(seconds * 1000);
const suffix = (theme === "dark" ? "-dark" : "") + (language === "zh" ? "-zh" : "");
for (const name of (process.env.VIEWS ?? "overview buckets explain changes incidents").split(" ")) {
  await page.click(`#views a[href="#${name}"]`);
  if (name === "buckets") {
    await page.fill("#bucket-key", "u1");
    await page.press("#bucket-key", "Enter");
    await eventually("the user's bucket", async () => (await page.innerText("#bucket-found")).includes("u1"));
  }
  if (name === "explain") {
    await page.click("#explain button.first");
    await page.waitForSelector("#reasoning .verdict");
  }
  await page.evaluate(() => document.activeElement?.blur());
  await page.waitForTimeout(300);
  await page.screenshot({ path: join(folder, name + suffix + ".png"), fullPage: process.env.FULL === "1" });
}
await close();
if (complaints.length) console.log(complaints.join("\n"));
process.exit(complaints.length ? 1 : 0);

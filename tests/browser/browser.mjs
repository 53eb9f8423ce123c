// node browser.mjs SCENARIO URL OPTIONS: runs one scenario in a headless Chromium.
//
// Prints the scenario's result as JSON and ends with 0, or an error to stderr and 1. Whatever the
// scenario, the page may not raise an error, open a dialog, break its Content-Security-Policy or
// ask any other host. OPTIONS is JSON: `chromium` (path), `shots` (directory), what the scenario
// takes.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { chromium } from "playwright-core";

import * as describing from "./describing.mjs";
import * as entering from "./entering.mjs";
import * as operating from "./operating.mjs";
import * as playing from "./playing.mjs";
import * as reading from "./reading.mjs";
import * as running from "./running.mjs";
import * as dashboard from "./scenarios.mjs";

const scenarios = {
  ...dashboard,
  ...entering,
  ...reading,
  ...operating,
  ...playing,
  ...running,
  ...describing,
};

const [name, url, json] = process.argv.slice(2);
const options = JSON.parse(json);
const axe = await readFile(fileURLToPath(import.meta.resolve("axe-core/axe.min.js")), "utf-8");
const EXPECTED = /^Failed to load resource/; // answers that the page has to live with

const browser = await chromium.launch({
  executablePath: options.chromium,
  args: ["--no-sandbox"], // the tests may run as root, and the page is our own
});
const faults = [];

/**
 * A page at `path`, in a context of its own. Settings are the context's, and `key` (signed in with
 * it), `block` (a pattern of addresses to what is done with a request for one), `before` (a function
 * that runs in the page before its own scripts).
 */
async function open(path = "/dashboard", settings = {}) {
  const { key, block, before, ...context } = { viewport: { width: 1440, height: 900 }, ...settings };
  const page = await (
    await browser.newContext({
      locale: "en-US",
      timezoneId: "UTC",
      reducedMotion: "reduce",
      ...context,
    })
  ).newPage();
  page.setDefaultTimeout(8_000);
  page.on("pageerror", (error) => faults.push(error.stack));
  page.on("console", (message) => {
    if (message.type() === "error" && !EXPECTED.test(message.text())) faults.push(message.text());
  });
  page.on("dialog", (dialog) => {
    faults.push(`a dialog: ${dialog.message()}`);
    dialog.dismiss();
  });
  page.on("request", (request) => {
    if (
      !/^(data|blob):/.test(request.url()) &&
      new URL(request.url()).origin !== new URL(url).origin
    ) {
      faults.push(`a foreign host was asked: ${request.url()}`);
    }
    if (key && request.url().includes(key)) faults.push(`the key is in ${request.url()}`);
  });
  await page.addInitScript(() => {
    addEventListener("securitypolicyviolation", (event) =>
      console.error(`policy violated: ${event.violatedDirective} ${event.blockedURI}`),
    );
  });
  if (key) await page.addInitScript((value) => sessionStorage.setItem("proxy-key", value), key);
  if (before) await page.addInitScript(before);
  for (const [pattern, route] of Object.entries(block ?? {})) await page.route(pattern, route);
  await page.goto(url + path);
  return page;
}

/** Keeps a picture of the whole page, and holds it to the rules of accessibility. */
async function inspect(page, shot) {
  await page.evaluate(() => scrollTo(0, 0));
  await page.screenshot({ path: join(options.shots, `${shot}.png`), fullPage: true });
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  assert.ok(wide <= 0, `${shot} is ${wide} px too wide`);
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() =>
    globalThis.axe.run({
      runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    }),
  );
  const told = violations.flatMap(({ id, help, nodes }) =>
    nodes.map((node) => `${id}: ${help}\n  ${node.html}\n  ${node.failureSummary}`),
  );
  assert.deepEqual(told, [], `accessibility of ${shot}:\n${told.join("\n")}`);
}

try {
  const result = await scenarios[name]({ open, inspect, faults, options });
  assert.deepEqual(faults, []);
  console.log(JSON.stringify(result ?? null));
} catch (error) {
  console.error([error.stack, ...faults].join("\n"));
  process.exitCode = 1;
} finally {
  await browser.close();
}

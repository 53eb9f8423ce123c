// The page that shows the API.

import assert from "node:assert/strict";

import { PHONE } from "./scenarios.mjs";

async function opened(settings, open, path = "/docs") {
  const page = await open(path, settings);
  await page.getByText(/^\d+ operations?$/).waitFor();
  return page;
}

/** In every look, as it comes and with operations opened. */
export async function docs({ open, inspect }) {
  const looks = { light: {}, dark: { colorScheme: "dark" }, phone: PHONE };
  for (const [look, settings] of Object.entries(looks)) {
    const page = await opened(settings, open);
    await inspect(page, `docs-${look}`);
    await page.locator("#search").fill("prompt conversation");
    await page.locator("#generate > summary").click();
    await page.locator("#generate .api-part-of > details > summary").first().click();
    await page.locator("#generate .api-answer > summary").first().click();
    await inspect(page, `docs-open-${look}`);
    await page.context().close();
  }
}

/** By keyboard alone: search, open, fill in, send. The key stays in the page's memory. */
export async function trying({ open, options }) {
  const page = await opened({ permissions: ["clipboard-read", "clipboard-write"] }, open);
  await page.keyboard.press("/");
  await page.keyboard.type("issue KEY user");
  await page.getByText("0 operations").waitFor();
  await page.keyboard.press("ControlOrMeta+a");
  await page.keyboard.type("/admin/keys get list");
  await page.getByText("1 operation", { exact: true }).waitFor();
  await page.locator("#key").focus();
  await page.keyboard.type(options.given);
  await page.locator("#listKeys > summary").focus();
  await page.keyboard.press("Enter");
  const form = page.locator("#listKeys form");
  await form.getByLabel("limit").fill("7");
  await form.getByRole("button", { name: "Send" }).press("Enter");
  await page.getByText(/^200 .* ms, application\/json/).waitFor();
  assert.match(await form.locator("pre code").innerText(), /"keys":/);
  await form.getByRole("button", { name: "Copy as curl" }).click();
  await form.getByRole("button", { name: "Copied" }).waitFor();
  const copied = await page.evaluate(() => navigator.clipboard.readText());
  assert.match(copied, /^curl -X GET '.*\/admin\/keys\?limit=7'/);
  assert.ok(!copied.includes(options.given));
  assert.deepEqual(await page.evaluate(() => [sessionStorage.length, document.cookie]), [0, ""]);
}

/** An address leads to its operation; a stream is shown; a refusal too. */
export async function linking({ open, options }) {
  const page = await opened({}, open, "/docs#generate");
  const form = page.locator("#generate form");
  await page.locator("#key").fill(options.given);
  await form.locator("textarea").fill('{"prompt": "Hello", "model": "fast", "stream": true}');
  await form.getByRole("button", { name: "Send" }).click();
  await page.getByText(/^200 .*event-stream/).waitFor();
  await page.getByText(/event: done/).waitFor();
  await form.locator("textarea").fill("{");
  await form.getByRole("button", { name: "Send" }).click();
  await page.getByText(/^400 .*json/).waitFor();
}

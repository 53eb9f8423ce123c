// An operator's day with the real Worker: what the pages change holds, and what holds is shown.

import assert from "node:assert/strict";

import { asked, closed, visit } from "./operating.mjs";

/** The status and the body of a chat with this key. */
function chat(page, key, body) {
  return page.evaluate(
    async ([secret, sent]) => {
      const headers = { "content-type": "application/json", authorization: `Bearer ${secret}` };
      const response = await fetch("/v1/generate", {
        method: "POST",
        headers,
        body: JSON.stringify(sent),
      });
      return { status: response.status, body: await response.json() };
    },
    [key, body],
  );
}

/** Presses what reads anew until the page shows it. */
async function shows(page, name, pattern) {
  for (let i = 0; i < 20; i++) {
    await page.click("#refresh");
    await page.waitForFunction(() => !document.querySelector("#refresh.turning"));
    if (pattern.test(await page.locator(`#view-${name}`).innerText())) return;
    await page.waitForTimeout(250);
  }
  assert.match(await page.locator(`#view-${name}`).innerText(), pattern);
}

/** A key is issued, used, seen with its use, changed and revoked. */
async function runKeys(page, options) {
  const dialog = await asked(page, "Issue a key");
  await dialog.getByLabel("User").fill("dora");
  await dialog.getByLabel("Name").fill("by the page");
  await dialog.getByLabel("Team").fill("search");
  await dialog.getByLabel("Dollars a day").fill("-1");
  await dialog.getByRole("button", { name: "Issue" }).click();
  assert.ok(await dialog.isVisible(), "less than nothing is no budget");
  await dialog.getByLabel("Dollars a day").fill("1");
  await dialog.getByLabel("Providers").fill("openai, nobody");
  await dialog.getByRole("button", { name: "Issue" }).click();
  await dialog.locator('[data-field="providers"] .error', { hasText: "no provider" }).waitFor();
  await dialog.getByLabel("Providers").fill("openai");
  await dialog.getByRole("button", { name: "Issue" }).click();
  await page.getByRole("heading", { name: "The key is issued" }).waitFor();
  const secret = await page.locator("dialog .secret code").innerText();
  assert.match(secret, /^aep_/);
  await page.getByRole("button", { name: "I have kept it" }).click();
  await closed(page);
  const sent = { prompt: options.prompt, model: "openai/fast", maxTokens: 50, fallback: false };
  assert.equal((await chat(page, secret, sent)).status, 200);
  assert.equal((await chat(page, secret, { ...sent, model: "groq/fast" })).status, 403);
  await shows(page, "keys", /by the page[^]*team search[^]*\$0\.\d+ of \$1\.00 today/);
  const edit = await asked(page, "Edit: dora, by the page");
  await edit.getByLabel("Providers").fill("");
  await edit.getByLabel("Dollars a day").fill("2");
  await edit.getByRole("button", { name: "Save" }).click();
  await closed(page);
  await shows(page, "keys", /by the page[^]*all providers[^]*of \$2\.00 today/);
  assert.equal((await chat(page, secret, { ...sent, model: "groq/fast" })).status, 200);
  await visit(page, "budgets");
  const budget = await asked(page, "Set a budget");
  await budget.getByLabel("Name").fill("search");
  await budget.getByLabel("Dollars a month").fill("9");
  await budget.getByRole("button", { name: "Save" }).click();
  await closed(page);
  await shows(page, "budgets", /search\s+team[^]*of \$9\.00 this month/);
  await asked(page, "Remove: team search");
  await page.getByRole("button", { name: "Remove the budget" }).click();
  await closed(page);
  await visit(page, "keys");
  await asked(page, "Revoke: dora, by the page");
  await page.getByRole("button", { name: "Revoke the key" }).click();
  await closed(page);
  assert.equal((await chat(page, secret, sent)).status, 401);
}

/** An alias is made, tried in the playground, and deleted. */
async function runAliases(page, options) {
  await visit(page, "aliases");
  const dialog = await asked(page, "Make an alias");
  await dialog.getByLabel("Name", { exact: true }).fill("by-the-page");
  await dialog.getByLabel("Model", { exact: true }).fill("nobody/x");
  await dialog.getByRole("button", { name: "Make it" }).click();
  await dialog.locator('[data-field="targets[0].model"] .error:not(:empty)').waitFor();
  await dialog.getByLabel("Model", { exact: true }).fill("groq/fast");
  await dialog.getByRole("button", { name: "Make it" }).click();
  await closed(page);
  await page.getByRole("button", { name: "Try: by-the-page" }).click();
  await page.getByRole("heading", { name: "by-the-page" }).waitFor();
  await page.fill("#prompt", options.prompt);
  await page.click("#send");
  await page.locator(".lane").getByRole("status").filter({ hasText: "Done" }).waitFor();
  assert.match(await page.locator(".receipt").innerText(), /groq/);
  await visit(page, "aliases");
  await asked(page, "Delete: by-the-page");
  await page.getByRole("button", { name: "Delete the alias" }).click();
  await closed(page);
  await page.getByText("There is no alias yet").waitFor();
}

/** A hit becomes a miss by a purge, which is then listed. */
async function runCache(page, options) {
  await visit(page, "cache");
  const sent = { prompt: `${options.prompt} Keep it.`, model: "openai/fast" };
  const status = async () => (await chat(page, options.key, sent)).body.metadata.cacheStatus;
  assert.equal(await status(), "miss");
  assert.equal(await status(), "hit");
  await shows(page, "cache", /[1-9]\d* of 1,000/);
  await page.getByLabel("What", { exact: true }).selectOption("all");
  const dialog = await asked(page, "Purge");
  await dialog.getByRole("button", { name: "Purge" }).click();
  await closed(page);
  assert.equal(await status(), "miss");
  await shows(page, "cache", /Last purges[^]*Everything/);
}

/** A model that fails is paused, and asked again once its breaker is reset. */
async function runBreakers(page, options) {
  await visit(page, "limits");
  for (let i = 0; i < 6; i++) {
    const sent = { prompt: `${options.failing} ${i}`, model: "groq/fast", fallback: false };
    assert.ok((await chat(page, options.key, sent)).status >= 500);
  }
  await shows(page, "limits", /groq\s+\S+\s+(paused|recovering)/);
  const name = await page.locator('[aria-label^="Reset: groq/"]').getAttribute("aria-label");
  await asked(page, name);
  await page.getByRole("button", { name: "Close and forget" }).click();
  await closed(page);
  await page.waitForFunction((label) => !document.querySelector(`[aria-label="${label}"]`), name);
  await shows(page, "limits", /groq\s+\S+\s+working/);
  assert.match(await page.locator("#view-limits").innerText(), /1,000 an hour|10,000,000 an hour/);
}

/** All of it, and the settings. */
export async function running({ open, inspect, options }) {
  const page = await open("/dashboard#/keys", options);
  await visit(page, "keys");
  await runKeys(page, options);
  await runAliases(page, options);
  await runCache(page, options);
  await runBreakers(page, options);
  await visit(page, "settings");
  const text = await page.locator("#view-settings").innerText();
  assert.match(text, /ADMIN_TOKEN[^]*set, and shown to nobody/);
  assert.ok(!(await page.content()).includes(options.key));
  await inspect(page, "real-settings");
}

// What a reader does with the request log, sessions and tags.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";

import { inert, PHONE, settled, TABLET } from "./scenarios.mjs";

/** The log grows at its top under a reader who holds a row open, and goes back in time. */
export async function log({ open, inspect, options }) {
  const page = await open("/dashboard#/requests", options);
  await settled(page);
  const row = page.locator(".disclose").first();
  await row.focus();
  await page.keyboard.press("Enter");
  const id = await row.getAttribute("data-focus");
  assert.match(await page.locator(`[id="facts-${id}"]`).innerText(), new RegExp(id));
  await inspect(page, "requests");
  const before = await page.locator(".disclose").count();
  await page.clock.install();
  await page.selectOption("#every", "5");
  await row.focus();
  await page.evaluate(() => fetch("/next"));
  await page.clock.runFor(5_000);
  await page.waitForFunction(
    (count) => document.querySelectorAll(".disclose").length > count,
    before,
  );
  assert.notEqual(await page.locator(".disclose").first().getAttribute("data-focus"), id);
  assert.equal(await page.evaluate(() => document.activeElement.dataset.focus), id);
  assert.ok(await page.locator(`[id="facts-${id}"]`).isVisible());
  const shown = await page.locator(".disclose").count();
  await page.click("#older");
  await page.waitForFunction(
    (count) => document.querySelectorAll(".disclose").length > count,
    shown,
  );
  const ids = await page.locator(".disclose").evaluateAll((all) => all.map((e) => e.dataset.focus));
  assert.equal(new Set(ids).size, ids.length);
  assert.deepEqual(ids, [...ids].sort().reverse());
  await page.selectOption("#log-filters select[name=cache]", "hit");
  await page.waitForFunction(() =>
    [...document.querySelectorAll(".requests .tag")].every((tag) =>
      tag.textContent.startsWith("hit"),
    ),
  );
  const phone = await open("/dashboard#/requests", { ...options, ...PHONE, colorScheme: "dark" });
  await settled(phone);
  await inspect(phone, "requests-phone");
}

/** The log is narrowed by what is filled in; each filter is a chip in sight and in the address. */
export async function filters({ open, inspect, options }) {
  const page = await open("/dashboard#/requests", options);
  await settled(page);
  const shown = (pattern) => page.waitForFunction((text) => location.hash.includes(text), pattern);
  const add = async (kind, value) => {
    await page.selectOption("#log-filters select[name=kind]", { label: kind });
    await page.fill("#log-filters input[name=value]", value);
    await page.keyboard.press("Enter");
  };
  await add("Label", "nothing");
  assert.match(
    await page.locator("#log-filters input[name=value]").evaluate((e) => e.validationMessage),
    /name=value/,
  );
  const asked = page.waitForRequest(/requests\?.*label\.feature=chat/);
  await add("Label", "feature=chat");
  await asked;
  await add("User", "ann");
  await shown("user=ann");
  await page.fill("#log-filters input[name=status]", "2xx");
  await page.keyboard.press("Tab");
  await shown("status=2xx");
  await page.fill("#log-filters input[name=from]", "2020-01-02T03:04");
  await page.keyboard.press("Tab");
  await shown("from=2020-01-02T03%3A04%3A00.000Z");
  await settled(page);
  const text = await page.locator("#filters").innerText();
  for (const chip of ["user: ann", "status: 2xx", "feature: chat", "from: Jan 2"])
    assert.ok(text.includes(chip), `${chip} is not in ${text}`);
  await page.mouse.wheel(0, 2_000);
  await page.waitForFunction(() => scrollY > 500 && document.querySelector("#filters").getBoundingClientRect().top >= 0);
  assert.ok(await page.locator("#filters").isVisible());
  const users = await page.locator('.requests button[data-focus^="user:"]').count();
  assert.equal(users, 0, "others are shown, or the filter can be pressed again");
  await inspect(page, "requests-filtered");
  const [file] = await Promise.all([page.waitForEvent("download"), page.click("#export")]);
  assert.equal(file.suggestedFilename(), "requests.csv");
  const csv = await readFile(await file.path(), "utf-8");
  await page.getByRole("button", { name: "Remove all filters" }).click();
  await page.waitForFunction(() => location.hash === "#/requests");
  return csv;
}

/** Where each attempt of a request begins, and how long it is, as shares of the whole. */
function bars(facts) {
  return facts
    .locator(".track")
    .evaluateAll((all) =>
      all.map((e) => ["--from", "--share"].map((name) => e.style.getPropertyValue(name))),
    );
}

/** One request: why it went where it did, its attempts in time, and what was kept of it. */
export async function detail({ open, inspect }) {
  const page = await open("/dashboard#/requests");
  await settled(page);
  await page.locator(".disclose").first().click();
  const facts = page.locator(".facts-row").first();
  await facts.getByText("Why there").waitFor();
  await facts.getByText("2 candidates, by balanced").click();
  await facts.getByRole("button", { name: "Show the kept request" }).click();
  await facts.getByText("Left out: 2 × email, 1 × iban.").waitFor();
  assert.deepEqual(await bars(facts), [["2.00%", "42.50%"], ["25.00%", "60.00%"]]);
  await inspect(page, "request");
  await page.emulateMedia({ colorScheme: "dark" });
  await inspect(page, "request-dark");
  await page.setViewportSize(TABLET);
  await inspect(page, "request-tablet");
  await page.locator(".disclose").nth(1).click();
  const older = page.locator(".facts-row").nth(1);
  await older.getByText("Why there").waitFor();
  assert.deepEqual(await bars(older), [["0.00%", "41.46%"], ["41.46%", "58.54%"]]);
  const text = await facts.innerText();
  const id = /req_[0-9a-f]{24}/.exec(text)[0];
  await facts.getByRole("button", { name: id }).click();
  await page.waitForFunction(() => document.querySelectorAll(".disclose").length === 1);
  await page.locator(".facts-row").getByText("Why there").waitFor();
  const phone = await open(`/dashboard#/requests?id=${id}`, { ...PHONE, colorScheme: "dark" });
  await phone.locator(".facts-row").getByText("Why there").waitFor();
  await inspect(phone, "request-phone");
  return text;
}

/** What conversations and tags cost; a press on one opens its requests. */
export async function sessions({ open, inspect }) {
  const page = await open("/dashboard#/sessions");
  await settled(page);
  await inspect(page, "sessions");
  await page.setViewportSize(TABLET);
  await inspect(page, "sessions-tablet");
  await page.setViewportSize({ width: 360, height: 740 });
  await page.emulateMedia({ colorScheme: "dark" });
  await inspect(page, "sessions-phone");
  await page.getByRole("button", { name: "support-8817" }).click();
  await page.waitForFunction(() => location.hash === "#/requests?session=support-8817&user=ben");
  await settled(page);
  await page.goBack();
  await page.getByRole("button", { name: "search" }).click();
  await page.waitForFunction(() => location.hash === "#/requests?tag=search");
}

/** The log of real traffic: a request made while it is watched appears, a name in it stays text. */
export async function realLog({ open, inspect, options }) {
  const page = await open("/dashboard#/requests", options);
  await settled(page);
  const before = await page.locator(".disclose").first().getAttribute("data-focus");
  await page.evaluate(() =>
    fetch("/v1/generate", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: '{"prompt":""}',
    }),
  );
  await page.click("#refresh");
  await page.waitForFunction(
    (id) => document.querySelector(".disclose")?.dataset.focus !== id,
    before,
  );
  assert.match(
    await page.locator(".requests tbody tr").first().innerText(),
    /400.*invalid_request/s,
  );
  const evil = page.locator(".requests tbody tr", { hasText: "onerror=" }).first();
  await evil.locator(".disclose").click();
  await inert(page);
  await page.locator(".reason", { hasText: "No provider was asked" }).waitFor();
  await inspect(page, "real-requests");
  const told = { asked: (await evil.locator(".asked-for").textContent()).trim() };
  const filters = "status=4xx&from=2020-01-01T00:00:00.000Z";
  await page.goto(`${new URL(page.url()).origin}/dashboard#/requests?${filters}`);
  await page.locator("#filters", { hasText: "status: 4xx" }).waitFor();
  await page.waitForFunction(() => {
    const codes = [...document.querySelectorAll(".requests tbody td:nth-child(2) .badge")];
    return codes.length > 1 && codes.every((code) => code.textContent.startsWith("4"));
  });
  const [file] = await Promise.all([page.waitForEvent("download"), page.click("#export")]);
  const csv = await readFile(await file.path(), "utf-8");
  await page.goto(`${new URL(page.url()).origin}/dashboard#/sessions`);
  await page.locator("#by-session", { hasText: "talk-1" }).waitFor();
  await inspect(page, "real-sessions");
  return { ...told, csv };
}

/** Names that would be markup are text in a request's detail, in sessions and in the address. */
export async function hostileLog({ open, inspect, options }) {
  const [evil] = options.strings;
  const named = encodeURIComponent(evil);
  const page = await open(`/dashboard#/requests?user=${named}&label.${named}=${named}`);
  await settled(page);
  await page.locator(".disclose").first().click();
  await page.locator(".facts-row").getByText("Why there").waitFor();
  await page.locator(".reason summary").click();
  await page.getByRole("button", { name: "Show the kept request" }).click();
  await page.locator(".kept pre").first().waitFor();
  for (const place of [".reason", ".kept", ".timeline", ".facts-row .facts", "#filters"])
    for (const text of place === "#filters" ? [evil] : options.strings)
      assert.ok((await page.locator(place).innerText()).includes(text), `${place}: ${text}`);
  await inert(page);
  await inspect(page, "hostile-request");
  await page.goto(`${new URL(page.url()).origin}/dashboard#/sessions`);
  await page.locator("#by-tag tbody th").first().waitFor();
  const text = await page.locator("#view-sessions").innerText();
  for (const name of options.strings) assert.ok(text.includes(name), `sessions: ${name}`);
  await inert(page);
  await inspect(page, "hostile-sessions");
}

// How a reader comes in: with a key, with a role, from Access, or not at all.

import assert from "node:assert/strict";

import { settled } from "./scenarios.mjs";

/** A wrong key is told, a right one stays in this tab only, signing out leaves nothing. */
export async function signing({ open, inspect, options }) {
  const page = await open();
  await page.getByRole("heading", { name: "Sign in" }).waitFor();
  await inspect(page, "signed-out");
  await page.fill("#key", "no-such-key");
  await page.keyboard.press("Enter");
  await page.waitForFunction(() =>
    document.querySelector("#key-error")?.textContent.includes("not let in"),
  );
  await inspect(page, "wrong-key");
  page.on("request", (request) => assert.ok(!request.url().includes(options.admin)));
  await page.fill("#key", options.admin);
  await page.keyboard.press("Enter");
  await settled(page);
  assert.equal(await page.locator("#who").textContent(), "Admin");
  const kept = await page.evaluate(() => [
    JSON.stringify(localStorage),
    document.cookie,
    location.href,
    JSON.stringify(sessionStorage),
  ]);
  assert.deepEqual(
    kept.map((text) => text.includes(options.admin)),
    [false, false, false, true],
  );
  assert.ok(!(await page.content()).includes(options.admin));
  await page.reload();
  await settled(page);
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByRole("heading", { name: "Sign in" }).waitFor();
  assert.equal(await page.evaluate(() => sessionStorage.getItem("proxy-key")), null);
  assert.equal(await page.locator(".tile .value").count(), 0);
}

/** A user's key sees figures, and is told why it sees no limits. */
export async function user({ open, inspect, options }) {
  const page = await open("/dashboard", options);
  await settled(page);
  assert.equal(await page.locator("#who").textContent(), "User");
  assert.match(await page.locator("#limits").innerText(), /admin token/);
  assert.ok(await page.locator(".tile .value").first().isVisible());
  await inspect(page, "user");
}

/** Whichever part of the page is blocked or throws, it says so and what to do. */
export async function blocked({ open, inspect, faults }) {
  const says = async (page, shot) => {
    const told = page.getByText("This page could not start");
    await told.waitFor({ timeout: 12_000 });
    await inspect(page, shot);
  };
  const app = { block: { "**/app.js": (route) => route.abort() } };
  await says(await open("/dashboard", app), "blocked");
  const throwing = (route) =>
    route.fulfill({ contentType: "text/javascript", body: "throw Error('broken on purpose')" });
  await says(await open("/dashboard", { block: { "**/app.js": throwing } }), "throws");
  assert.match(faults.splice(0).join(), /^[^,]*broken on purpose[^,]*$/);
  const all = { block: { "**/*.js": (route) => route.abort() } };
  await says(await open("/dashboard", all), "no-scripts");
}

/** A browser's own language may be none that it knows itself. */
export async function language({ open, options }) {
  const odd = () =>
    Object.defineProperty(Navigator.prototype, "language", { get: () => "en-US@posix" });
  const page = await open("/dashboard", { ...options, before: odd });
  await settled(page);
}

/** A viewer reads what an admin reads, and is told why it can't try a model. */
export async function viewer({ open, inspect, options }) {
  const page = await open("/dashboard", options);
  await settled(page);
  assert.equal(await page.locator("#who").textContent(), "Viewer");
  assert.match(await page.locator("#limits").innerText(), /620 requests an hour/);
  assert.equal(await page.getByRole("link", { name: "Playground" }).count(), 0);
  await page.goto(`${new URL(page.url()).origin}/dashboard#/playground`);
  await page.getByText("calls no model").waitFor();
  await inspect(page, "viewer-playground");
  await page.getByRole("link", { name: "Requests" }).click();
  await page.locator(".requests tbody tr", { hasText: "200" }).first().locator("button").first().click();
  await page.getByText("admins and their user see them").waitFor();
}

/** Access stands before the proxy: nobody is asked for a key, and signing out is Access's. */
export async function access({ open }) {
  const page = await open();
  await settled(page);
  assert.equal(await page.locator("#who").textContent(), "Admin");
  assert.ok(await page.locator("#view-sign-in").isHidden());
  await page.route("**/cdn-cgi/**", (route) => route.fulfill({ body: "signed out" }));
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.waitForURL("**/cdn-cgi/access/logout");
}

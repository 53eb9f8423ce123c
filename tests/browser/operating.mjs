// What an operator does with the pages that run the proxy.

import assert from "node:assert/strict";

import { inert, PHONE } from "./scenarios.mjs";

export const PAGES = ["keys", "budgets", "aliases", "limits", "cache", "settings"];
const TABLET = { viewport: { width: 768, height: 1024 } };

/** Opens a page by its address, and waits until it is read. */
export async function visit(page, name) {
  await page.evaluate((to) => {
    location.hash = `#/${to}`;
  }, name);
  await page.locator(`#view-${name}`).waitFor();
  await page.waitForFunction(
    (to) => !document.querySelector(`#view-${to} [aria-busy="true"], #refresh.turning`),
    name,
  );
}

/** A button's press; the dialog that it opens. */
export async function asked(page, name) {
  await page.getByRole("button", { name, exact: true }).click();
  const dialog = page.getByRole("dialog");
  await dialog.waitFor();
  return dialog;
}

/** Waits until no dialog is open. */
export async function closed(page) {
  await page.waitForFunction(() => !document.querySelector("dialog"));
}

/** Every page in every look. */
export async function operating({ open, inspect, options }) {
  const shot = options.shot ?? "operate";
  const looks = { light: {}, dark: { colorScheme: "dark" }, tablet: TABLET, phone: PHONE };
  const chosen = Object.entries(looks).filter(([look]) => options.looks?.includes(look) ?? true);
  const texts = {};
  for (const [look, settings] of chosen) {
    const page = await open("/dashboard#/keys", { ...options, ...settings });
    for (const name of PAGES) {
      await visit(page, name);
      await inspect(page, `${shot}-${name}-${look}`);
      texts[name] = await page.locator(`#view-${name}`).innerText();
    }
    await page.context().close();
  }
  return texts;
}

/** Names that would be markup are text, in lists and in dialogs. */
export async function hostileOffice({ open, inspect, options }) {
  const page = await open("/dashboard#/keys", options);
  for (const name of PAGES) {
    await visit(page, name);
    for (const summary of await page.locator(`#view-${name} summary`).all()) await summary.click();
    const text = await page.locator(`#view-${name}`).innerText();
    for (const evil of options.strings) assert.ok(text.includes(evil), `${name}: no ${evil}`);
    await inert(page);
    await inspect(page, `hostile-${name}`);
  }
  for (const [name, word] of [
    ["keys", "Edit"],
    ["aliases", "Edit"],
    ["budgets", "Remove"],
  ]) {
    await visit(page, name);
    await page
      .locator(`#view-${name}`)
      .getByRole("button", { name: new RegExp(`^${word}: `) })
      .first()
      .click();
    await page.getByRole("dialog").waitFor();
    await inert(page);
    await page.keyboard.press("Escape");
    await closed(page);
  }
}

/** A viewer sees all, and nothing that changes anything. */
export async function viewing({ open, inspect, options }) {
  const page = await open("/dashboard#/keys", options);
  for (const name of PAGES) {
    await visit(page, name);
    const words = /Issue|Edit|Rotate|Revoke|Set a|Change|Remove|Make|Delete|Reset|Purge$/;
    const found = await page.locator(`#view-${name}`).getByRole("button", { name: words }).count();
    assert.equal(found, 0, `${name} offers a viewer a change`);
    assert.ok(await page.locator(`#view-${name} :is(table, dl)`).count(), `${name} is empty`);
    await inspect(page, `viewer-${name}`);
  }
}

/** A key is issued by keyboard, its secret shown once; changed, rotated, revoked. */
export async function keys({ open, inspect, options }) {
  const page = await open("/dashboard#/keys", {
    ...options,
    permissions: ["clipboard-read", "clipboard-write"],
  });
  await visit(page, "keys");
  await page.getByLabel("Search the keys").fill("research eval");
  assert.equal(await page.locator("#view-keys tbody tr").count(), 1);
  await page.getByLabel("Search the keys").fill("");
  await page.getByLabel("Ended ones too").check();
  assert.equal(await page.locator("#view-keys tbody tr").count(), 7);
  assert.match(await page.locator("#view-keys").innerText(), /revoked/);

  await page.getByRole("button", { name: "Issue a key" }).focus();
  await page.keyboard.press("Enter");
  const dialog = page.getByRole("dialog");
  assert.equal(await page.evaluate(() => document.activeElement.name), "user");
  await page.keyboard.type("dora");
  await dialog.getByLabel("Providers").fill("openai, nobody");
  await dialog.getByLabel("Models").fill("openai/*\nsupport");
  await dialog.getByLabel("Tags").fill("eu, prod");
  await dialog.getByLabel("Requests an hour").fill("500");
  await dialog.getByLabel("Dollars a day").fill("2.5");
  await dialog.getByLabel("Expires").fill("2030-01-02T03:04");
  await inspect(page, "keys-form");
  await dialog.getByLabel("Tags").press("Enter");
  const problem = dialog.locator('[data-field="providers"] .error');
  await problem.filter({ hasText: "no provider" }).waitFor();
  assert.equal(await page.evaluate(() => document.activeElement.name), "providers");
  await inspect(page, "keys-form-wrong");
  await page.setViewportSize(PHONE.viewport);
  await inspect(page, "keys-form-phone");
  await page.setViewportSize({ width: 1440, height: 900 });
  await dialog.getByLabel("Providers").fill("openai");
  await dialog.getByRole("button", { name: "Issue" }).click();
  await page.getByRole("heading", { name: "The key is issued" }).waitFor();
  await page.mouse.click(5, 5); // beside the dialog: the secret must not be lost so
  assert.match(await dialog.innerText(), /aep_test_secret/);
  await inspect(page, "keys-secret");
  await dialog.getByRole("button", { name: "Copy" }).click();
  await dialog.getByRole("button", { name: "Copied" }).waitFor();
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), "aep_test_secret");
  await dialog.getByRole("button", { name: "I have kept it" }).click();
  await closed(page);
  assert.ok(!(await page.content()).includes("aep_test_secret"));

  const edit = await asked(page, "Edit: billing-service, production");
  assert.equal(await edit.getByLabel("Dollars a month").inputValue(), "40");
  await edit.getByLabel("Name").fill("");
  await edit.getByLabel("Dollars a month").fill("");
  await edit.getByLabel("Requests at once").fill("7");
  await edit.getByRole("button", { name: "Save" }).click();
  await closed(page);
  const rotation = await asked(page, "Rotate: ann, laptop");
  await rotation.getByLabel("The old secret works on for").selectOption("0");
  await inspect(page, "keys-rotate");
  await rotation.getByRole("button", { name: "Rotate" }).click();
  await page.getByRole("heading", { name: "The new secret" }).waitFor();
  await page.getByRole("button", { name: "I have kept it" }).click();
  await closed(page);
  const revocation = await asked(page, "Revoke: ann, laptop");
  assert.equal(await page.evaluate(() => document.activeElement.textContent), "Cancel");
  assert.match(await revocation.innerText(), /ann, laptop.*refused.*can’t be undone/s);
  await inspect(page, "keys-revoke");
  await page.keyboard.press("Escape");
  await closed(page);
  assert.equal(
    await page.evaluate(() => document.activeElement.getAttribute("aria-label")),
    "Revoke: ann, laptop",
  );
  await asked(page, "Revoke: ann, laptop");
  await page.getByRole("button", { name: "Revoke the key" }).click();
  await closed(page);
}

/** Budgets of teams and tags are set, changed and removed. */
export async function budgets({ open, inspect, options }) {
  const page = await open("/dashboard#/budgets", options);
  await visit(page, "budgets");
  const dialog = await asked(page, "Set a budget");
  await dialog.getByLabel("Of a").selectOption("tag");
  await dialog.getByLabel("Name").fill("a/b c");
  await dialog.getByRole("button", { name: "Save" }).click();
  await dialog.getByText("Give day, month or both.").waitFor();
  await inspect(page, "budgets-form");
  await dialog.getByLabel("Dollars a day").fill("3");
  await dialog.getByRole("button", { name: "Save" }).click();
  await closed(page);
  const change = await asked(page, "Change: team payments");
  assert.equal(await change.getByLabel("Dollars a month").inputValue(), "200");
  await change.getByLabel("Dollars a month").fill("250");
  await change.getByRole("button", { name: "Save" }).click();
  await closed(page);
  await asked(page, "Remove: tag eval");
  await inspect(page, "budgets-remove");
  await page.getByRole("button", { name: "Remove the budget" }).click();
  await closed(page);
}

/** An alias is made by the form and by its JSON, changed, and deleted. */
export async function aliases({ open, inspect, options }) {
  const page = await open("/dashboard#/aliases", options);
  await visit(page, "aliases");
  const dialog = await asked(page, "Make an alias");
  await dialog.getByLabel("Name", { exact: true }).fill("fresh");
  await dialog.getByLabel("Model", { exact: true }).fill("groq/fast");
  await dialog.getByRole("button", { name: "Add a target" }).click();
  const second = dialog.getByRole("group", { name: "Target 2" });
  await second.getByLabel("Model", { exact: true }).fill("nobody/x");
  await second.getByText("Only for some requests").click();
  await second.getByLabel("Labels").fill("plan=pro\nplan=team\neu=yes");
  await second.getByLabel("tools").check();
  await second.getByLabel("Tokens of the prompt, from").fill("100");
  await second.getByRole("button", { name: "Move up target 2" }).click();
  const first = dialog.getByRole("group", { name: "Target 1" });
  assert.equal(await first.getByLabel("Model", { exact: true }).inputValue(), "nobody/x");
  await dialog.getByLabel("Text", { exact: true }).fill("Be brief.");
  await inspect(page, "alias-form");
  await dialog.getByRole("button", { name: "Make it" }).click();
  await first.getByText("There is no model nobody/x").waitFor();
  assert.equal(await page.evaluate(() => document.activeElement.name), "targets[0].model");
  await page.setViewportSize(PHONE.viewport);
  await inspect(page, "alias-form-phone");
  await page.setViewportSize({ width: 1440, height: 900 });
  await first.getByLabel("Model", { exact: true }).fill("openai/fast");
  await dialog.getByRole("radio", { name: "JSON" }).check();
  const text = dialog.getByLabel("The alias as JSON");
  const written = JSON.parse(await text.inputValue());
  await text.fill("{");
  await dialog.getByRole("radio", { name: "Form" }).click();
  await dialog.getByText(/This is no alias/).waitFor();
  assert.ok(await dialog.getByRole("radio", { name: "JSON" }).isChecked());
  await text.fill(JSON.stringify({ ...written, defaults: { seed: 7, temperature: 0.5 } }));
  await inspect(page, "alias-json");
  await dialog.getByRole("radio", { name: "Form" }).check();
  const defaults = dialog.getByRole("group", { name: "Parameters where the request says nothing" });
  assert.equal(await defaults.getByLabel("Temperature").inputValue(), "0.5");
  await dialog.getByRole("button", { name: "Make it" }).click();
  await closed(page);

  const edit = await asked(page, "Edit: support");
  assert.ok(!(await edit.getByLabel("Name", { exact: true }).isEditable()));
  await edit.getByLabel("Description").fill("");
  await edit.getByRole("button", { name: "Save" }).click();
  await closed(page);
  await page.getByRole("button", { name: "Reset: limits of support" }).focus();
  await page.keyboard.press("Enter");
  await page.getByText("Forget what was used of all targets of support?").waitFor();
  assert.equal(await page.evaluate(() => document.activeElement.textContent), "Cancel");
  await inspect(page, "alias-reset");
  await page.getByRole("button", { name: "Forget it" }).click();
  await closed(page);
  await asked(page, "Delete: canary");
  await inspect(page, "alias-delete");
  await page.getByRole("button", { name: "Delete the alias" }).click();
  await closed(page);
}

/** Breakers are closed, buckets looked at and reset; what is refused is told in the dialog. */
export async function limits({ open, inspect, options }) {
  const page = await open("/dashboard#/limits", options);
  await visit(page, "limits");
  for (const name of ["Reset: groq/openai/gpt-oss-20b", "Reset: deepseek", "Reset all: breakers"]) {
    await asked(page, name);
    await page.getByRole("button", { name: "Close and forget" }).click();
    await closed(page);
  }
  await page.getByText("3 more").click();
  const bucket = await asked(page, "ann, key_000000000002");
  assert.match(await bucket.innerText(), /Left now\s+12.*Held to\s+240 an hour.*in 2.3 min/s);
  await inspect(page, "limits-bucket");
  await bucket.getByRole("button", { name: "Reset" }).click();
  await page.getByText("Give ann, key_000000000002 all its requests at groq again?").waitFor();
  await page.getByRole("button", { name: "Reset", exact: true }).click();
  await closed(page);
  const pool = await asked(page, "Reset: limits at gemini");
  await page.getByRole("button", { name: "Forget it" }).click();
  await pool.getByText("The limits can't be reached now").waitFor();
  await inspect(page, "limits-refused");
  await pool.getByRole("button", { name: "Cancel" }).click();
  await closed(page);
  const target = await asked(page, "Reset: openai/gpt-5.4-mini in support");
  await target.getByText("Forget what was used of openai/gpt-5.4-mini in support?").waitFor();
  await page.keyboard.press("Escape");
  await closed(page);
  await asked(page, "Reset: openai/gpt-5.4-mini in support");
  await page.getByRole("button", { name: "Forget it" }).click();
  await closed(page);
}

/** Purges: one thing or all, asked for before. */
export async function cache({ open, inspect, options }) {
  const page = await open("/dashboard#/cache", options);
  await visit(page, "cache");
  await page.getByRole("button", { name: "Purge" }).click();
  await page.getByText("Say which.").waitFor();
  await inspect(page, "cache-wrong");
  for (const [scope, value] of [
    ["model", "openai/gpt-5-mini"],
    ["user", "ann"],
    ["key", "abc"],
  ]) {
    await page.getByLabel("What", { exact: true }).selectOption(scope);
    await page.getByLabel("Which", { exact: true }).fill(value);
    const dialog = await asked(page, "Purge");
    assert.ok((await dialog.innerText()).includes(value));
    await dialog.getByRole("button", { name: "Purge" }).click();
    await closed(page);
  }
  await page.getByLabel("What", { exact: true }).selectOption("all");
  assert.ok(await page.getByLabel("Which", { exact: true }).isHidden());
  const dialog = await asked(page, "Purge");
  assert.match(await dialog.innerText(), /Every answer that is kept, of all users/);
  await inspect(page, "cache-purge-all");
  await dialog.getByRole("button", { name: "Purge" }).click();
  await closed(page);
}

/** Settings are found by their name and by what they mean; secrets are shown to nobody. */
export async function settings({ open, inspect, options }) {
  const page = await open("/dashboard#/settings", options);
  await visit(page, "settings");
  const view = page.locator("#view-settings");
  await page.getByLabel("Only what is set").check();
  assert.match(await view.innerText(), /CACHE_TTL.*60.*default: 3600/s);
  assert.ok(!(await view.innerText()).includes("CACHE_SCOPE"));
  await page.getByLabel("Only what is set").uncheck();
  await page.getByLabel("Search the settings").fill("openai");
  assert.match(await view.innerText(), /OPENAI_API_KEY.*set, and shown to nobody.*Secrets Store/s);
  await inspect(page, "settings-found");
  await page.getByLabel("Search the settings").fill("nothing like it");
  await page.getByText("No setting fits.").waitFor();
}

/** A user has no way to these pages, and is told why at their address. */
export async function barred({ open, inspect, options }) {
  const page = await open("/dashboard#/playground", options);
  await page.locator("#nav a").first().waitFor();
  const links = await page.locator("#nav a").allInnerTexts();
  assert.ok(!links.includes("Keys"), links.join());
  for (const name of PAGES) {
    await page.evaluate((to) => {
      location.hash = `#/${to}`;
    }, name);
    await page.locator(`#view-${name} .nothing`).waitFor();
  }
  await inspect(page, "barred");
}

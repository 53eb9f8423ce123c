// What a reader does in the playground.

import assert from "node:assert/strict";

import { PHONE } from "./scenarios.mjs";

const lane = (page, number = 0) => page.locator(".lane").nth(number);

async function say(page, prompt, phase = "Done", number = 0) {
  await page.fill("#prompt", prompt);
  await page.click("#send");
  await lane(page, number).getByRole("status").filter({ hasText: phase }).waitFor();
}

/** Shows the page at its three widths, light and dark. */
async function looks(page, inspect, shot) {
  await inspect(page, `${shot}-light`);
  await page.emulateMedia({ colorScheme: "dark" });
  await page.setViewportSize({ width: 768, height: 1024 });
  await inspect(page, `${shot}-tablet`);
  await page.setViewportSize(PHONE.viewport);
  await inspect(page, `${shot}-phone`);
}

/** An answer streams in, with all that is known of it, and the code that asks the same. */
export async function playground({ open, inspect, options }) {
  const page = await open("/dashboard#/playground", options);
  if (options.model) await page.getByLabel("Model, tier, alias").fill(options.model);
  await page.getByText("The same request as code").click();
  await page.fill("#prompt", options.prompt);
  const code = {};
  for (const language of ["curl", "Python", "JavaScript"]) {
    await page.locator("#languages label", { hasText: language }).click();
    code[language] = await page.locator("#code").textContent();
    assert.ok(!options.key || !code[language].includes(options.key), "the key is in the code");
  }
  await page.focus("#prompt");
  await page.keyboard.press("Control+Enter");
  await lane(page).getByRole("status").filter({ hasText: "Done" }).waitFor();
  const answer = await lane(page).locator(".said").innerText();
  await lane(page).locator(".receipt summary").click();
  const receipt = await lane(page).locator(".receipt").innerText();
  for (const word of ["First token", "Whole answer", "Tokens", "Cost", "Provider", "Finish"])
    assert.ok(receipt.includes(word), word);
  assert.equal(await page.inputValue("#prompt"), "");
  await say(page, "And then?");
  await page.locator(".receipt").nth(1).waitFor();
  const next = await page.locator("#code").textContent();
  await looks(page, inspect, "playground");
  await page.getByRole("button", { name: "New conversation" }).click();
  assert.equal(await page.locator(".turn").count(), 0);
  return { answer, receipt, code, next };
}

/** A stream that breaks, one that the reader stops, and another try. */
export async function breaking({ open, inspect }) {
  const page = await open("/dashboard#/playground");
  await say(page, "break", "Failed");
  assert.match(await lane(page).innerText(), /Half an answer.*provider_error.*The stream broke/s);
  await inspect(page, "playground-failed");
  await lane(page).getByRole("button", { name: "Try again" }).click();
  await lane(page).getByRole("status").filter({ hasText: "Done" }).waitFor();
  assert.equal(await page.locator(".refusal").count(), 0);
  await say(page, "refuse", "Failed");
  assert.match(await lane(page).innerText(), /rate_limit_exceeded.*Too many/s);
  await say(page, "stall", "Writing");
  assert.ok(await page.locator("#send").isDisabled());
  await page.click("#stop");
  await lane(page).getByRole("status").filter({ hasText: "Stopped" }).waitFor();
  assert.ok(await page.locator("#send").isEnabled());
}

/** A model calls a tool: the reader types its result, and the model goes on with it. */
export async function tools({ open, inspect }) {
  const page = await open("/dashboard#/playground");
  const field = page.getByLabel("Tools as JSON");
  await page.getByText("Tools", { exact: true }).click();
  await field.fill('{"no": "list"}');
  await page.fill("#prompt", "What is the weather?");
  await page.click("#send");
  await page.locator("#ask .error", { hasText: "This is no list of tools" }).waitFor();
  await inspect(page, "playground-wrong-tools");
  await field.fill('[{"type": "function", "function": {"name": "weather"}}]');
  await say(page, "What is the weather?", "Waits for the result of a call");
  assert.match(await lane(page).innerText(), /weather\(\{"city": "Paris"\}\)/);
  await page.fill("#prompt", "Well?");
  await page.click("#send");
  await page.getByText("Send the results of the calls first.").waitFor();
  await looks(page, inspect, "playground-tools");
  await page.getByLabel("Result of weather").fill('{"degrees": 21}');
  await page.getByRole("button", { name: "Send the result" }).click();
  await lane(page).getByRole("status").filter({ hasText: "Done" }).waitFor();
  assert.match(await lane(page).innerText(), /It is 21 degrees/);
}

/** Images go along as data URLs, in bounds, and the code is shown without their bulk. */
export async function images({ open, inspect, options }) {
  const page = await open("/dashboard#/playground");
  const file = (name, mimeType, buffer) => ({ name, mimeType, buffer });
  const picture = file("cat.png", "image/png", Buffer.from(options.picture, "base64"));
  const input = page.getByLabel("Add images");
  await input.setInputFiles([file("notes.txt", "text/plain", Buffer.from("no"))]);
  await page.getByText("notes.txt is no image.").waitFor();
  await input.evaluate((control) => {
    const files = new DataTransfer(); // made there: to send so much takes long
    files.items.add(new File([new Uint8Array(10_000_001)], "huge.png", { type: "image/png" }));
    control.files = files.files;
    control.dispatchEvent(new Event("change"));
  });
  await page.getByText("huge.png is too large").waitFor();
  await input.setInputFiles([picture, { ...picture, name: "dog.png" }]);
  await page.getByAltText("dog.png").waitFor();
  await page.getByRole("button", { name: "Remove dog.png" }).click();
  await inspect(page, "playground-images");
  await page.fill("#prompt", "What is this?");
  await page.getByText("The same request as code").click();
  const code = await page.locator("#code").textContent();
  assert.ok(code.includes("data:image/png;base64,") && !code.includes(options.picture), code);
  await say(page, "What is this?");
  assert.ok(await lane(page).getByAltText("Image 1 of the prompt").isVisible());
  assert.equal(await page.getByAltText("cat.png").count(), 0);
}

/** Three models side by side on one prompt, each with what its answer took. */
export async function comparing({ open, inspect }) {
  const page = await open("/dashboard#/aliases");
  await page.getByRole("button", { name: "Try: support" }).click();
  await page.getByRole("heading", { name: "support" }).waitFor();
  for (let i = 0; i < 2; i++)
    await page.getByRole("button", { name: "Compare with another model" }).click();
  assert.ok(await page.getByText("Compare with another model").isHidden());
  await page.getByLabel("Model 2", { exact: true }).fill("groq/fast");
  await page.getByLabel("Model 3", { exact: true }).fill("openai/slow");
  await page.fill("#prompt", "Who are you?");
  await page.keyboard.press("Control+Enter");
  for (const [place, model] of ["support", "groq/fast", "openai/slow"].entries()) {
    await lane(page, place).getByRole("status").filter({ hasText: "Done" }).waitFor();
    assert.match(await lane(page, place).innerText(), new RegExp(`I am ${model}`));
    assert.match(await lane(page, place).innerText(), /First token.*Tokens.*Cost/s);
  }
  await looks(page, inspect, "playground-three");
  await page.getByRole("button", { name: "Remove model 2" }).click();
  assert.equal(await page.locator(".lane").count(), 2);
  assert.match(await lane(page, 1).innerText(), /I am openai\/slow/);
}

// What a reader does with the dashboard. Each runs against any server that offers the proxy's
// interface; what depends on the server's own answers is handed in as options.

import assert from "node:assert/strict";

export const PHONE = {
  viewport: { width: 360, height: 740 },
  deviceScaleFactor: 2,
  isMobile: true,
  hasTouch: true,
};
export const TABLET = { width: 768, height: 1024 };
const number = (value) => new Intl.NumberFormat("en").format(value);
const told = (page, path) =>
  page.waitForResponse((r) => new URL(r.url()).pathname === path && r.ok());

/** Waits until the page has read what it shows. */
export async function settled(page) {
  await page.waitForFunction(() =>
    document.querySelector("#fresh")?.textContent.startsWith("as of"),
  );
}

/** The figures are those of the API, the plots are drawn, in every look. */
export async function overview({ open, inspect, options }) {
  const page = await open("/dashboard", options);
  await settled(page);
  const figures = told(page, "/analytics/overview");
  await page.click("#refresh");
  const { total, series, byProvider } = await (await figures).json();
  await page.waitForFunction(
    (text) => document.querySelector(".tile .value")?.textContent === text,
    total.requests < 10_000 ? number(total.requests) : "",
  );
  const drawn = await page.evaluate(() =>
    [...document.querySelectorAll(".chart canvas")].map((canvas) => {
      const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
      const colors = new Set();
      for (let i = 0; i < data.length; i += 4)
        if (data[i + 3] === 255) colors.add(`${data[i]},${data[i + 1]},${data[i + 2]}`);
      return colors.size;
    }),
  );
  assert.equal(drawn.length, 6);
  assert.ok(
    drawn.every((colors) => colors > 1),
    `plots without colour: ${drawn}`,
  );

  const plot = page.locator("figure", { hasText: "Requests by provider" });
  assert.match(
    await plot.locator(".plot").getAttribute("aria-label"),
    new RegExp(`${byProvider[0].key.provider} [\\d.,K]+`),
  );
  await plot.getByRole("button", { name: "as a table" }).click();
  assert.equal(await plot.locator("tbody tr").count(), series.length);
  await plot.getByRole("button", { name: "as a table" }).click();

  const failing = await page
    .locator("#providers tbody tr")
    .evaluateAll((rows) =>
      Object.fromEntries(
        rows.map((row) => [
          row.querySelector("th").textContent,
          row.querySelector("[data-label=Failing]").textContent,
        ]),
      ),
    );

  const shots = options.shot ?? "overview";
  await inspect(page, `${shots}-light`);
  await page.getByRole("button", { name: /^Theme: system/ }).click();
  await page.getByRole("button", { name: /^Theme: light/ }).click();
  await inspect(page, `${shots}-dark`);
  await page.setViewportSize(TABLET);
  await inspect(page, `${shots}-tablet`);
  const phone = await open("/dashboard", { ...options, ...PHONE });
  await settled(phone);
  await inspect(phone, `${shots}-phone`);
  return { total, failing, text: await page.locator("main").innerText() };
}

function watchShifts() {
  globalThis.shifted = 0;
  new PerformanceObserver((list) => {
    for (const { value } of list.getEntries()) globalThis.shifted += value;
  }).observe({ type: "layout-shift", buffered: true });
}

/** The figures come with one call, beside the one that says who reads, and soon. */
export async function soon({ open, options }) {
  const waits = [];
  const asked = [];
  for (let i = 0; i < 3; i++) {
    const page = await open("/dashboard", { ...options, before: watchShifts });
    await settled(page);
    const measured = await page.evaluate(() => ({
      at: performance.getEntriesByName("figures")[0].startTime,
      paths: performance
        .getEntriesByType("resource")
        .map(({ name }) => new URL(name).pathname)
        .filter((path) => !path.startsWith("/dashboard/")),
      shifted: globalThis.shifted,
    }));
    assert.ok(measured.shifted < 0.05, `the layout moved by ${measured.shifted}`);
    waits.push(measured.at);
    asked.push(measured.paths.sort().join(" "));
    await page.close();
  }
  return { waits, asked };
}

/** The window, the filters and the way back, by keyboard; the address keeps them. */
export async function choosing({ open }) {
  const page = await open();
  await settled(page);
  await page.keyboard.press("Tab");
  assert.equal(await page.evaluate(() => document.activeElement.className), "skip");
  await page.getByRole("radio", { name: "1 hour" }).focus();
  await page.getByRole("button", { name: "Show 1 more" }).focus();
  await page.keyboard.press("Enter");
  assert.equal(await page.locator("#users tbody tr").count(), 6);
  assert.equal(await page.evaluate(() => document.activeElement.textContent), "Show fewer");
  await page.getByRole("radio", { name: "1 hour" }).focus();
  let asked = page.waitForRequest((r) => r.url().includes("overview?window=6h"));
  await page.keyboard.press("ArrowRight");
  assert.match((await asked).url(), /window=6h$/);
  await settled(page);
  await page.locator("#models button.name").first().focus();
  asked = page.waitForRequest((r) => /overview\?.*model=/.test(r.url()));
  await page.keyboard.press("Enter");
  assert.match((await asked).url(), /window=6h/);
  assert.match(page.url(), /#\/overview\?window=6h&model=/);
  await page.reload();
  await settled(page);
  assert.ok(await page.getByRole("radio", { name: "6 hours" }).isChecked());
  await page.getByRole("button", { name: /^Remove the filter model/ }).click();
  await page.waitForFunction(() => !location.hash.includes("model="));
  await page.goBack();
  assert.match(page.url(), /model=/);
  const steps = new Set();
  for (let i = 0; i < 60; i++) {
    await page.keyboard.press("Tab");
    const focus = await page.evaluate(() => {
      const { activeElement: e } = document;
      const style = getComputedStyle(e.matches(".segments input") ? e.nextElementSibling : e);
      return {
        what: e.id || e.dataset.focus || e.textContent.slice(0, 30),
        ring: style.outlineStyle !== "none" || e === document.body,
      };
    });
    assert.ok(focus.ring, `no focus to be seen on ${focus.what}`);
    steps.add(focus.what);
  }
  for (const id of ["refresh", "every", "theme"])
    assert.ok(steps.has(id), `${id} is out of the keyboard's reach`);
}

/** The clock reads anew, silently; a reader's refresh is spoken; paused is paused. */
export async function refreshing({ open }) {
  const page = await open();
  await settled(page);
  await page.clock.install();
  let readings = 0;
  page.on("request", (request) => {
    if (request.url().includes("/analytics/overview")) readings += 1;
  });
  await page.selectOption("#every", "5");
  await page.evaluate(() => {
    document.querySelector("#spoken").textContent = "";
  });
  for (const expected of [1, 2]) {
    await page.clock.runFor(5_000);
    await page.waitForFunction(() => !document.querySelector("#refresh.turning"));
    assert.equal(readings, expected);
  }
  await page.clock.runFor(100); // what is spoken is put there with the next frame
  assert.equal(await page.locator("#spoken").textContent(), "");
  await page.selectOption("#every", "0");
  await page.clock.runFor(120_000);
  assert.equal(readings, 2);
  await page.click("#refresh");
  await page.clock.runFor(1_000);
  await page.waitForFunction(() =>
    document.querySelector("#spoken").textContent.includes("up to date"),
  );
}

/** Nothing there yet: the page says what brings something. */
export async function empty({ open, inspect, options }) {
  const page = await open("/dashboard", options);
  await settled(page);
  assert.match(await page.locator("#empty").innerText(), /curl .*\/v1\/generate/s);
  assert.equal(await page.locator(".tile .value").first().textContent(), "0");
  await inspect(page, "empty");
}

/** What is down is told where it is, and it is told when it is back. */
export async function trouble({ open, inspect }) {
  const page = await open();
  await page.waitForFunction(() =>
    document.querySelector("#insights")?.innerText.includes("Try again"),
  );
  assert.match(await page.locator("#insights").innerText(), /broken on purpose/);
  await page.locator(".tile .value").first().waitFor();
  await inspect(page, "part-down");
  await page.route("**/analytics/overview?*", (route) => route.abort());
  await page.click("#refresh");
  await page.locator("#trouble", { hasText: "does not answer" }).waitFor();
  assert.match(await page.locator("#providers").innerText(), /gemini/);
  await inspect(page, "down");
  await page.unroute("**/analytics/overview?*");
  await page.click("#refresh");
  await page.locator("#trouble").waitFor({ state: "hidden" });
}

/** Names that would be markup are text, everywhere. */
export async function hostile({ open, inspect, faults, options }) {
  for (const view of ["overview", "requests"]) {
    const page = await open(`/dashboard#/${view}`);
    await settled(page);
    for (const disclose of await page.locator(`#view-${view} :is(summary, .disclose)`).all())
      await disclose.click();
    const text = await page.locator(`#view-${view}`).innerText();
    for (const evil of options.strings)
      assert.ok(text.includes(evil), `${view} does not show ${evil}`);
    await inert(page);
    await inspect(page, `hostile-${view}`);
  }
  const page = await open("/dashboard#/playground");
  await page.fill("#prompt", options.strings[0]);
  await page.click("#send");
  await page.locator(".receipt summary").click();
  const text = await page.locator("#view-playground").innerText();
  for (const evil of options.strings)
    assert.ok(text.includes(evil), `the playground does not show ${evil}`);
  await inert(page);
  const blocked = await page.evaluate(() => {
    try {
      document.body.innerHTML = "<p>markup</p>";
      return false;
    } catch (error) {
      return error instanceof TypeError;
    }
  });
  assert.ok(blocked, "the policy lets text become markup");
  assert.match(faults.splice(0).join(), /^[^,]*TrustedHTML[^,]*$/);
}

/** No name has become markup. */
export async function inert(page) {
  const found = await page.evaluate(() => ({
    ran: "hacked" in globalThis,
    planted: document.querySelectorAll(
      "main img, main script, main iframe, main style, main b i, main a[href^='javascript']",
    ).length,
  }));
  assert.deepEqual(found, { ran: false, planted: 0 });
}

/** On a phone the pages are behind a menu, which the keyboard reaches and Escape closes. */
export async function menu({ open, inspect }) {
  const page = await open("/dashboard", PHONE);
  await settled(page);
  const button = page.getByRole("button", { name: "Menu" });
  assert.ok(await page.locator("#nav").isHidden());
  await button.focus();
  await page.keyboard.press("Enter");
  await page.getByRole("link", { name: "Requests" }).waitFor();
  await inspect(page, "menu-phone");
  await page.keyboard.press("Escape");
  assert.ok(await page.locator("#nav").isHidden());
  await button.click();
  await page.getByRole("link", { name: "Requests" }).click();
  await page.getByRole("heading", { name: "Requests", level: 1 }).waitFor();
  assert.ok(await page.locator("#nav").isHidden());
}

/** The blocks for clients name the address of the page, in every look, and can be copied. */
export async function setup({ open, inspect }) {
  for (const [shot, settings] of Object.entries({
    "setup-light": {},
    "setup-dark": { colorScheme: "dark" },
    "setup-phone": PHONE,
  })) {
    const page = await open("/setup", settings);
    await page.getByRole("button", { name: "Copy" }).first().waitFor();
    await inspect(page, shot);
  }
  const page = await open("/setup", { permissions: ["clipboard-read", "clipboard-write"] });
  const { origin } = new URL(page.url());
  const blocks = await page.locator("pre code").allTextContents();
  assert.ok(blocks.length >= 8);
  assert.ok(!blocks.join("").includes("YOUR-PROXY"));
  assert.ok(blocks[0].includes(`ANTHROPIC_BASE_URL=${origin}\n`));
  await page.getByRole("button", { name: "Copy" }).first().click();
  await page.getByRole("button", { name: "Copied" }).waitFor();
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), blocks[0]);
}

/** The picture of README.md. */
export async function picture({ open, options }) {
  const page = await open("/dashboard", options);
  await settled(page);
  await page.waitForSelector(".chart canvas");
  await page.screenshot({ path: options.to });
}

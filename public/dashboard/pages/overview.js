// The figures, and the panels that break them down: one call for all of them, one for insights.

import { get } from "../api.js";
import { firstCurl } from "../code.js";
import { h } from "../dom.js";
import { showCache, showModels, showStatuses, showUsers } from "../overview/breakdowns.js";
import { showComing } from "../overview/coming.js";
import { figures } from "../overview/figures.js";
import { showInsights } from "../overview/insights.js";
import { showLimits } from "../overview/limits.js";
import { showProviders } from "../overview/providers.js";
import { filtersFor, linkTo, state } from "../state.js";
import { failure, fillPanel, nothing, panel, waiting } from "../table.js";

const INSIGHTS_EVERY = 60_000; // they look at thousands of requests
const PANELS = {
  providers: ["Providers", "wide"],
  models: ["Top models", "half"],
  users: ["Top users", "half"],
  insights: ["Insights", "half"],
  coming: ["Coming changes", "half"],
  cache: ["Cache", ""],
  statuses: ["Answers by status", ""],
  limits: ["Limits", ""],
};

const shown = {};
let root = null;
let view = null;
let context = null;
let early = null;
let insightsAt = 0;
let insightsFor = "";

export const page = {
  name: "overview",
  title: "Overview",
  role: "user",
  window: true,
  live: true,
  filters: ["provider", "model", "user", "session", "endpoint", "status"],
  ahead,
  mount,
  refresh,
};

/** Asks before it is known who reads, so that the first figures come a round trip sooner. */
function ahead() {
  early = { asked: JSON.stringify(query()), answer: get("/analytics/overview", query()) };
  early.answer.catch(() => {
    early = null; // whoever was not let in may be, with another key
  });
}

function mount(place, its) {
  [root, context] = [place, its];
  view = figures();
  for (const [id, [title, style]] of Object.entries(PANELS)) {
    shown[id] = panel(id, title, style);
    waiting(shown[id]);
  }
  const panels = h("div", { class: "panels" }, Object.values(shown));
  root.append(empty(), view.tiles, view.charts, panels);
}

/** What is there before the first request, or where the window or the filters leave none. */
function empty() {
  const keyed = context.me.via !== "open";
  return h(
    "div",
    { id: "empty", class: "card empty", hidden: true },
    h("h2", {}, "No requests in this window"),
    h(
      "p",
      { class: "muted" },
      "Send one and it appears here within seconds, choose a longer window, or remove a filter.",
    ),
    h("pre", { class: "code", tabindex: "0" }, h("code", {}, firstCurl(location.origin, keyed))),
    h("p", {}, h("a", { class: "button", href: linkTo("playground") }, "Open the playground")),
  );
}

function query() {
  return { window: state.window, ...filtersFor(page.filters) };
}

async function refresh(signal, asked) {
  const insights = readInsights(signal, asked);
  const told = await overview(signal).catch((error) => {
    if (error.status) for (const id in shown) if (id !== "insights") fail(id, error);
    throw error;
  });
  show(told);
  await insights;
}

async function overview(signal) {
  const ready = early;
  early = null;
  if (ready?.asked === JSON.stringify(query())) return ready.answer;
  return get("/analytics/overview", query(), { signal });
}

/** told: what /analytics/overview answers. Each part that it could not read tells so itself. */
function show(told) {
  const { total, byProvider, byModel, byUser, byStatus, providers, limits } = told;
  const part = (id, parts, draw) => {
    const missing = parts.find((name) => told[name] === null);
    if (missing) fail(id, { status: 503, message: told.unread?.[missing] ?? "It can't be read." });
    else draw(shown[id]);
  };
  if (total) {
    root.querySelector("#empty").hidden = total.requests > 0;
    root.classList.toggle("without", total.requests === 0);
    view.show(told);
    performance.mark("figures"); // the first of them says how long a reader waited
  }
  part("providers", ["providers"], (at) =>
    showProviders(at, providers.providers, byProvider ?? [], total?.requests ?? 0),
  );
  part("coming", ["providers"], (at) => showComing(at, providers.providers));
  part("cache", ["total"], (at) => showCache(at, total));
  part("models", ["byModel", "total"], (at) => showModels(at, byModel, total));
  part("users", ["byUser", "total"], (at) => showUsers(at, byUser, total));
  part("statuses", ["byStatus", "total"], (at) => showStatuses(at, byStatus, total));
  if (context.can("viewer")) part("limits", ["limits"], (at) => showLimits(at, limits));
  else
    fillPanel(
      shown.limits,
      "",
      nothing("Limits concern all users. Sign in with the admin token to see them."),
    );
}

/** Insights take longer than the figures, which don't wait for them. */
async function readInsights(signal, asked) {
  const { window } = state;
  if (!asked && window === insightsFor && Date.now() - insightsAt < INSIGHTS_EVERY) return;
  try {
    showInsights(shown.insights, await get("/analytics/insights", { window }, { signal }));
    [insightsFor, insightsAt] = [window, Date.now()];
  } catch (error) {
    if (error.name !== "AbortError" && error.status) fail("insights", error);
  }
}

function fail(id, error) {
  fillPanel(shown[id], "", failure(error, context.again));
}

// What holds requests back: the providers' circuit breakers, the limits that users share, and those
// of aliases' targets.

import { limitedTargets, readAliases } from "../aliases/usage.js";
import { change, get } from "../api.js";
import { openDialog } from "../dialog.js";
import { h } from "../dom.js";
import { clock, count, span } from "../format.js";
import { act, fill, fillAll, placeFor, undertake } from "../operate.js";
import { badge, pill } from "../pill.js";
import { nothing, table } from "../table.js";

const LISTED = 200; // breakers that are shown: callers may name models that don't exist
const USERS = 5;

let context;
let places;

export const page = {
  name: "limits",
  title: "Limits and breakers",
  lead: "What holds requests back, and how much of each provider its users have.",
  role: "viewer",
  live: true,
  mount,
  refresh,
};

function mount(root, given) {
  context = given;
  places = { breakers: placeFor(5), limits: placeFor(5), targets: placeFor(3) };
  const all = act("Reset all", "breakers", () => resetBreaker(null));
  const card = (title, note, tool, place) =>
    h(
      "section",
      { class: "card", "aria-label": title },
      h(
        "header",
        { class: "card-tools" },
        h("h2", {}, title),
        h("span", { class: "muted grow" }, note),
        tool,
      ),
      place,
    );
  root.append(
    h(
      "div",
      { class: "stacked" },
      card(
        "Circuit breakers",
        "As the isolate that answers knows them.",
        context.can("admin") && all,
        places.breakers,
      ),
      card(
        "Limits at providers",
        "Requests of each user. Answers from the cache don’t count.",
        null,
        places.limits,
      ),
      card(
        "Limits and budgets of aliases’ targets",
        "Of all callers together. Answers from the cache don’t count.",
        null,
        places.targets,
      ),
    ),
  );
}

async function refresh(signal) {
  const read = (path) => () => get(path, {}, { signal });
  await fillAll(
    fill(places.breakers, context, read("/admin/breakers"), showBreakers),
    fill(places.limits, context, read("/admin/limits"), showLimits),
    fill(places.targets, context, () => readAliases(signal), showTargets),
  );
}

function showTargets(aliases) {
  return limitedTargets(aliases, context);
}

function showBreakers({ breakers }) {
  const rows = Object.entries(breakers).map(([name, view]) => ({ name, ...view }));
  rows.sort(
    (a, b) => (a.phase === "closed") - (b.phase === "closed") || a.name.localeCompare(b.name),
  );
  if (!rows.length)
    return nothing("No provider was called lately, so no breaker has anything to tell.");
  const more = rows.length - LISTED;
  return [
    table("Circuit breakers", BREAKERS, rows.slice(0, LISTED), { cards: true }),
    more > 0 && h("p", { class: "foot" }, `${count(more)} more, all of them closed.`),
  ];
}

/** A breaker's name as its provider, and what of it: a model, one of its keys, or all. */
function parse(name) {
  const slash = name.indexOf("/");
  if (slash >= 0) return { provider: name.slice(0, slash), model: name.slice(slash + 1) };
  const [provider, key] = name.split("#");
  return { provider, key };
}

const BREAKERS = [
  {
    title: "Of",
    row: true,
    cell: ({ name }) => {
      const { provider, model, key } = parse(name);
      const part = model ?? (key ? `key ${key}` : "the provider");
      return [h("span", { class: "name" }, provider), h("span", { class: "under" }, part)];
    },
  },
  {
    title: "State",
    cell: ({ phase, reason }) => [
      pill(phase),
      phase !== "closed" && reason && h("span", { class: "under" }, reason.replaceAll("_", " ")),
    ],
  },
  {
    title: "Calls lately",
    cell: ({ calls, failures, slow }) => [
      calls > 0 && h("span", {}, `${count(failures)} of ${count(calls)} failed`),
      slow > 0 && h("span", { class: "under" }, `${count(slow)} were slow`),
    ],
  },
  {
    title: "Tried again",
    cell: ({ phase, openUntil }) => {
      if (phase === "half_open") return "now, by a few requests";
      return openUntil ? `at ${clock(openUntil)}` : "";
    },
  },
  {
    title: "Actions",
    cell: ({ name, phase }) =>
      context.can("admin") && phase !== "closed"
        ? h(
            "span",
            { class: "actions" },
            act("Reset", name, () => resetBreaker(name)),
          )
        : "",
  },
];

function resetBreaker(name) {
  const { provider, model } = name ? parse(name) : {};
  const of = model ? `the model ${model} at ${provider}` : (provider ?? "all providers");
  const path = new URLSearchParams(Object.entries({ provider, model }).filter(([, its]) => its));
  return undertake(context, {
    title: `Close ${model ? "the breaker" : "the breakers"} of ${of}?`,
    text:
      "Requests go there again, from all isolates within seconds, and what was counted is" +
      " forgotten. If it still fails, callers meet its failures until the breaker opens anew.",
    action: "Close and forget",
    work: () => change("DELETE", `/admin/breakers${path.size ? `?${path}` : ""}`),
    said: "Closed.",
  });
}

function showLimits({ providers }) {
  const rows = Object.entries(providers).map(([provider, its]) => ({ provider, ...its }));
  if (!rows.length) return nothing("No provider is configured.");
  const busy = rows.filter(
    ({ pool }) => !pool || pool.users.length || pool.closed_until || pool.capacity,
  );
  const idle = rows.filter((row) => !busy.includes(row)).map(({ provider }) => provider);
  return [
    busy.length
      ? table("Limits at providers", LIMITS, busy, { cards: true })
      : nothing("Nobody has called a provider lately."),
    idle.length > 0 && h("p", { class: "foot" }, `Nobody uses ${idle.join(", ")} now.`),
  ];
}

const LIMITS = [
  {
    title: "Provider",
    row: true,
    cell: ({ provider, rate }) => [
      h("span", { class: "name" }, provider),
      h(
        "span",
        { class: "under" },
        `${count(rate.per_hour)} an hour, ${count(rate.burst)} at once`,
      ),
    ],
  },
  { title: "State", cell: ({ pool }) => pressure(pool) },
  { title: "Users, by requests an hour", cell: ({ provider, pool }) => users(provider, pool) },
  {
    title: "Actions",
    cell: ({ provider }) =>
      context.can("admin")
        ? h(
            "span",
            { class: "actions" },
            act("Reset", `limits at ${provider}`, () => resetPool(provider)),
          )
        : "",
  },
];

function pressure(pool) {
  if (!pool) return badge("warn", "out of reach");
  const closed = pool.closed_until > Date.now();
  const scopes = pool.scopes.map(({ scope, capacity, closed_until: until }) =>
    h(
      "span",
      { class: "under" },
      `${scope}: ${until > Date.now() ? `closed until ${clock(until)}` : `${count(capacity)} an hour`}`,
    ),
  );
  const word = closed
    ? badge("bad", "closed", "The provider asked to be left alone.")
    : pool.capacity === null
      ? badge(scopes.length ? "half" : "ok", scopes.length ? "some models short" : "has room")
      : badge("warn", "short", "The provider refused requests, so its users share what it bears.");
  const told = closed
    ? `until ${clock(pool.closed_until)}`
    : pool.capacity !== null && `${count(pool.capacity)} an hour for all`;
  return [word, told && h("span", { class: "under" }, told), scopes];
}

function users(provider, pool) {
  if (!pool?.users.length) return h("span", { class: "muted" }, "nobody now");
  const most = Math.max(...pool.users.map(({ demand }) => demand), 1);
  const item = (user) => h("li", {}, userButton(provider, user), share(user, most));
  const rest = pool.users.slice(USERS);
  return [
    h("ul", { class: "demands" }, pool.users.slice(0, USERS).map(item)),
    rest.length > 0 &&
      h(
        "details",
        { "data-focus": `users:${provider}` },
        h("summary", {}, `${count(rest.length)} more`),
        h("ul", { class: "demands" }, rest.map(item)),
      ),
  ];
}

function share({ demand, rate }, most) {
  const held = rate && h("span", { class: "under" }, `held to ${count(rate.per_hour)} an hour`);
  const part = `${((demand / most) * 100).toFixed(1)}%`;
  return [
    h(
      "span",
      { class: "share" },
      h("span", { class: "meter", "aria-hidden": "true", "--share": part }),
      h("span", {}, count(demand)),
    ),
    held,
  ];
}

/** A key with limits of its own stands among the users as its user's name and its id. */
function userButton(provider, { user }) {
  const [own, key] = user.split("\n");
  const label = key ? `${own}, ${key}` : own;
  return h(
    "button",
    {
      type: "button",
      class: "link name",
      "data-focus": `bucket:${provider}:${label}`,
      title: `How ${label} stands at ${provider}`,
      onclick: () => showBucket(provider, label, key ? { key } : { user: own }),
    },
    label,
  );
}

async function showBucket(provider, label, who) {
  let view;
  try {
    view = await get("/admin/limits", { provider, ...who });
  } catch (error) {
    context.trouble(error);
    return;
  }
  const reset = await openDialog(`${label} at ${provider}`, (close) => [
    h(
      "dl",
      { class: "facts" },
      facts(view).map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]),
    ),
    h(
      "div",
      { class: "dialog-buttons" },
      h("button", { type: "button", autofocus: true, onclick: () => close() }, "Close"),
      context.can("admin") && h("button", { type: "button", onclick: () => close(true) }, "Reset"),
    ),
  ]);
  if (reset) await resetBucket(provider, label, who);
}

function facts(view) {
  const rate = (its) => (its ? `${count(its.per_hour)} an hour, ${count(its.burst)} at once` : "–");
  return [
    ["Left now", view.rate ? count(view.level) : "no request came yet"],
    ["Rate", rate(view.rate)],
    ["Held to", view.squeezed ? rate(view.squeezed) : "not held down"],
    ["In leases", `${count(view.held)}, of ${count(view.isolates)} isolates`],
    ["Full again", view.reset === null ? "never, at this rate" : `in ${span(view.reset)}`],
    view.closed_until > Date.now() && ["Closed until", clock(view.closed_until)],
  ].filter(Boolean);
}

function resetBucket(provider, label, who) {
  return undertake(context, {
    title: `Give ${label} all its requests at ${provider} again?`,
    text: "What was used is forgotten: the bucket is full at once.",
    action: "Reset",
    work: () => change("DELETE", `/admin/limits?${new URLSearchParams({ provider, ...who })}`),
    said: "The bucket is full again.",
  });
}

function resetPool(provider) {
  return undertake(context, {
    title: `Forget what ${provider} said of its limits?`,
    text:
      "Its estimated capacity and every Retry-After are forgotten, so users have their configured" +
      " rates again. If the provider is still short it refuses, and the proxy learns it anew.",
    action: "Forget it",
    work: () => change("DELETE", `/admin/limits?${new URLSearchParams({ provider })}`),
    said: "Forgotten.",
  });
}

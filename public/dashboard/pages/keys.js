// The callers' keys: who has which, what they may and what they have spent.

import { change, get } from "../api.js";
import { h, replace } from "../dom.js";
import { formDialog } from "../forms.js";
import { ago, count, date } from "../format.js";
import { keyFields, readChanges, readNew } from "../keys/form.js";
import { rotate, showSecret } from "../keys/secret.js";
import { budgetBars } from "../money.js";
import {
  act,
  done,
  fill,
  hold,
  leadTo,
  placeFor,
  searchBox,
  undertake,
  wordsOf,
} from "../operate.js";
import { pill } from "../pill.js";
import { linkTo } from "../state.js";
import { nothing, table } from "../table.js";

const PAGE = 50;
const SEARCHED = 500; // keys of a page while all of them are read, for a search
const MOST = 10_000;

let context;
let keys = [];
let next = null;
let parts;

export const page = {
  name: "keys",
  title: "Keys",
  lead: "Each caller’s key with its rights, its limits and what it has spent.",
  role: "viewer",
  mount,
  refresh,
};

function mount(root, given) {
  context = given;
  const search = searchBox("User, name, team, tag or id", "Search the keys", find);
  const ended = h("input", { type: "checkbox", onchange: draw });
  const more = h("button", { type: "button", onclick: older }, "Load more keys");
  const note = h("span", { class: "muted", role: "status" });
  parts = { search, ended, more, note, list: placeFor(6) };
  const issuing = h("button", { type: "button", class: "primary", onclick: issue }, "Issue a key");
  root.append(
    h(
      "div",
      { class: "card" },
      h(
        "header",
        { class: "card-tools" },
        search,
        h("label", { class: "check" }, ended, " Ended ones too"),
        parts.note,
        context.can("admin") && issuing,
      ),
      parts.list,
      h("p", { class: "more" }, more),
    ),
  );
}

function refresh(signal) {
  return fill(parts.list, context, () => readFirst(signal), show);
}

async function readFirst(signal) {
  const limit = Math.max(PAGE, Math.min(keys.length, SEARCHED));
  const found = await get("/admin/keys", { limit, usage: "true" }, { signal });
  keys = found.keys;
  next = found.next;
  if (parts.search.value.trim()) await readAll(signal);
}

async function older() {
  try {
    await readPage(PAGE);
    draw();
  } catch (error) {
    context.trouble(error);
  }
}

async function readPage(limit, signal) {
  const found = await get("/admin/keys", { limit, cursor: next, usage: "true" }, { signal });
  const known = new Set(keys.map(({ id }) => id));
  keys.push(...found.keys.filter(({ id }) => !known.has(id)));
  next = found.next;
}

/** Reads the rest: a search looks at all keys. */
async function readAll(signal) {
  while (next && keys.length < MOST) await readPage(SEARCHED, signal);
}

let searching = null;

async function find() {
  draw();
  if (!next || searching) return;
  searching = readAll();
  try {
    await searching;
    draw();
  } catch (error) {
    context.trouble(error);
  } finally {
    searching = null;
  }
}

/** How a key stands: in use, or since when not. */
function stateOf(key, now = Date.now()) {
  if (key.revokedAt) return "revoked";
  return key.expiresAt && Date.parse(key.expiresAt) <= now ? "expired" : "active";
}

function fits(key, words) {
  return hold([key.id, key.user, key.name, key.note, key.team, ...(key.tags ?? [])], words);
}

function draw() {
  replace(parts.list, show());
}

function show() {
  const words = wordsOf(parts.search);
  const shown = keys.filter(
    (key) => fits(key, words) && (parts.ended.checked || stateOf(key) === "active"),
  );
  const all = `${count(keys.length)}${next ? " read so far" : ""}`;
  parts.note.textContent = `${count(shown.length)} of ${all}`;
  parts.more.hidden = !next;
  if (!shown.length) return nothing(emptiness(words.length));
  return h("div", { class: "roomy" }, table("Keys", COLUMNS, shown, { cards: true }));
}

function emptiness(searched) {
  if (searched) return "No key fits. Search fewer words, or look among the ended ones too.";
  if (keys.length) return "No key is in use. The ended ones are shown if you tick the box.";
  return "No key was issued yet. Issue one for each caller, so that each has limits and figures of its own.";
}

const COLUMNS = [
  {
    title: "Key",
    row: true,
    cell: (key) => [
      h("span", { class: "name" }, key.name || key.id),
      key.name && h("span", { class: "under" }, key.id),
      labels(key),
    ],
  },
  {
    title: "User",
    cell: (key) => [
      h("span", { class: "name" }, key.user),
      key.role && key.role !== "user" && h("span", { class: "under" }, key.role),
    ],
  },
  {
    title: "State",
    cell: (key) => [pill(stateOf(key)), h("span", { class: "under" }, ending(key))],
  },
  { title: "May use", cell: rights },
  { title: "Limits", cell: (key) => limits(key.limits) },
  { title: "Spent", cell: (key) => budgetBars(key.budget, key.used) },
  { title: "Actions", cell: actions },
];

function labels(key) {
  const words = [key.team && `team ${key.team}`, ...(key.tags ?? [])].filter(Boolean);
  const tag = (word) => h("span", { class: "tag" }, word);
  return words.length ? h("span", { class: "tags" }, words.map(tag)) : null;
}

function ending(key) {
  if (key.revokedAt) return ago(Date.parse(key.revokedAt));
  if (!key.expiresAt) return "";
  const at = Date.parse(key.expiresAt);
  return at <= Date.now() ? ago(at) : `until ${date(at)}`;
}

function rights(key) {
  const names = (list, what) => (list?.length ? list.join(", ") : `all ${what}`);
  const [providers, models] = [names(key.providers, "providers"), names(key.models, "models")];
  return [h("span", { class: "wrap" }, models), h("span", { class: "under" }, providers)];
}

const LIMITS = {
  perHour: "an hour",
  burst: "at once",
  requestsPerMinute: "a minute",
  tokensPerMinute: "tokens a minute",
};

function limits(own) {
  const told = Object.entries(LIMITS)
    .filter(([name]) => own?.[name] !== null && own?.[name] !== undefined)
    .map(([name, words]) => `${count(own[name])} ${words}`);
  if (!told.length) return h("span", { class: "muted small" }, "default");
  return h(
    "ul",
    { class: "plain small" },
    told.map((text) => h("li", {}, text)),
  );
}

function actions(key) {
  const label = labelOf(key);
  const mayChange = context.can("admin") && stateOf(key) === "active";
  return h(
    "span",
    { class: "actions" },
    leadTo("Requests", label, linkTo("requests", { filters: { key: key.id } })),
    mayChange && [
      act("Edit", label, () => edit(key)),
      act("Rotate", label, () => turn(key)),
      act("Revoke", label, () => revoke(key), { dangerous: true }),
    ],
  );
}

function labelOf(key) {
  return key.name ? `${key.user}, ${key.name}` : `${key.user}, ${key.id}`;
}

async function issue() {
  const made = await formDialog({
    title: "Issue a key",
    lead: "Only the user is needed. What is left empty is the deployment’s, or not limited.",
    action: "Issue",
    wide: true,
    fields: keyFields({}),
    submit: (form) => change("POST", "/admin/keys", readNew(form)),
  });
  if (!made) return;
  await showSecret("The key is issued", made);
  done(context, "The key is issued.");
}

async function edit(key) {
  const kept = await formDialog({
    title: `Change the key of ${labelOf(key)}`,
    lead: "It holds at once here and within 30 s everywhere.",
    action: "Save",
    wide: true,
    fields: keyFields(key),
    submit: async (form) => {
      const changes = readChanges(form, key);
      return changes ? change("PATCH", `/admin/keys/${key.id}`, changes) : key;
    },
  });
  if (kept && kept !== key) done(context, "The key is changed.");
}

async function turn(key) {
  if (await rotate(key, labelOf(key))) done(context, "The key has another secret.");
}

function revoke(key) {
  return undertake(context, {
    title: `Revoke the key of ${labelOf(key)}?`,
    text:
      "Requests with it are refused, here at once and within 30 s everywhere, and the responses" +
      " that are kept for it are deleted. This can’t be undone.",
    action: "Revoke the key",
    work: () => change("DELETE", `/admin/keys/${key.id}`),
    said: "The key is revoked.",
  });
}

// Names of one's own for models, with what goes with them.

import { editor } from "../aliases/editor.js";
import { isLimited, readAliases, resetTargets, targetBars } from "../aliases/usage.js";
import { change, get } from "../api.js";
import { h, replace } from "../dom.js";
import { formDialog } from "../forms.js";
import { ago, count } from "../format.js";
import {
  act,
  done,
  fill,
  hold,
  placeFor,
  searchBox,
  undertake,
  wordsOf,
} from "../operate.js";
import { nothing, table } from "../table.js";
import { tryModel } from "./playground.js";

let context;
let parts;
let aliases = [];
let models = null;

export const page = {
  name: "aliases",
  title: "Aliases",
  lead: "Names of your own that callers write in place of a model, for one model or several.",
  role: "viewer",
  mount,
  refresh,
};

function mount(root, given) {
  context = given;
  const draw = () => replace(parts.list, show());
  const search = searchBox("Name, model or description", "Search the aliases", draw);
  const note = h("span", { class: "muted", role: "status" });
  parts = { search, note, list: placeFor(5) };
  const making = { type: "button", class: "primary", onclick: make };
  const tools = [search, note, context.can("admin") && h("button", making, "Make an alias")];
  root.append(h("div", { class: "card" }, h("header", { class: "card-tools" }, tools), parts.list));
}

function refresh(signal) {
  const read = async () => {
    aliases = await readAliases(signal);
  };
  return fill(parts.list, context, read, show);
}

function show() {
  const words = wordsOf(parts.search);
  const texts = ({ name, description, targets }) => [
    name,
    description,
    ...targets.map(({ model }) => model),
  ];
  const shown = aliases.filter((alias) => hold(texts(alias), words));
  parts.note.textContent = `${count(shown.length)} of ${count(aliases.length)}`;
  if (shown.length) return table("Aliases", COLUMNS, shown, { cards: true });
  return nothing(
    words.length
      ? "No alias fits."
      : "There is no alias yet. With one you change models, limits and prompts without a change to any caller.",
  );
}

const COLUMNS = [
  {
    title: "Alias",
    row: true,
    cell: ({ name, description }) => [
      h("span", { class: "name" }, name),
      description && h("span", { class: "under" }, description),
    ],
  },
  {
    title: "Targets",
    cell: (alias) =>
      h(
        "ol",
        { class: "targets" },
        alias.targets.map((target) => showTarget(alias, target)),
      ),
  },
  { title: "Adds", cell: additions },
  { title: "Changed", cell: ({ updatedAt }) => ago(Date.parse(updatedAt)) },
  { title: "Actions", cell: actions },
];

function showTarget({ strategy, targets, used }, target) {
  const { model, weight, when, id } = target;
  const whole = targets.reduce((sum, its) => sum + (its.weight ?? 1), 0);
  const share = strategy === "weighted" && whole ? (weight ?? 1) / whole : null;
  const words = [
    share !== null && `${Math.round(share * 100)}%`,
    when && `for ${Object.entries(when).map(told).join(", ")}`,
  ].filter(Boolean);
  return h(
    "li",
    {},
    h("span", { class: "wrap" }, model),
    words.length > 0 && h("span", { class: "under" }, words.join(" · ")),
    targetBars(target, used?.[id]),
  );
}

function told([name, its]) {
  if (name === "metadata")
    return Object.entries(its)
      .map(([label, value]) => `${label}=${[value].flat().join("|")}`)
      .join(" ");
  if (name === "promptTokens") return `${its.min ?? 0} to ${its.max ?? "∞"} tokens`;
  return `${name} ${its.join("|")}`;
}

function additions({ defaults = {}, fixed = {}, system, timeout, cache }) {
  const words = [
    system && "a system prompt",
    Object.keys(defaults).length && `default ${Object.keys(defaults).join(", ")}`,
    Object.keys(fixed).length && `fixed ${Object.keys(fixed).join(", ")}`,
    timeout && "a timeout",
    cache && "a cache lifetime",
  ].filter(Boolean);
  return words.length
    ? h("span", { class: "small" }, words.join("; "))
    : h("span", { class: "muted" }, "nothing");
}

function actions(alias) {
  return h(
    "span",
    { class: "actions" },
    context.can("admin") && [
      act("Try", alias.name, () => tryModel(alias.name)),
      act("Edit", alias.name, () => edit(alias)),
      alias.targets.some(isLimited) &&
        act("Reset", `limits of ${alias.name}`, () => resetTargets(context, alias.name)),
      act("Delete", alias.name, () => remove(alias), { dangerous: true }),
    ],
  );
}

/** What a target may name: read once, for the list that the browser offers. */
async function listModels() {
  if (models) return models;
  try {
    const { data } = await get("/v1/models");
    models = data.map(({ id }) => id).filter((id) => !aliases.some(({ name }) => name === id));
  } catch {
    return []; // a model can be typed without it
  }
  return models;
}

async function make() {
  const { element, read } = editor({ name: "", targets: [{ model: "" }] }, await listModels());
  const made = await formDialog({
    title: "Make an alias",
    action: "Make it",
    wide: true,
    fields: element,
    submit: () => change("POST", "/admin/aliases", read()),
  });
  if (made) done(context, "The alias is made.");
}

async function edit(shown) {
  const alias = { ...shown };
  delete alias.used; // no field that an operator writes
  const { element, read } = editor(alias, await listModels());
  const kept = await formDialog({
    title: `Change the alias ${alias.name}`,
    lead: "It is replaced as a whole: at once here and within 30 s everywhere.",
    action: "Save",
    wide: true,
    fields: element,
    submit: () => {
      const body = read();
      for (const own of ["updatedAt", "etag"]) delete body[own]; // which the proxy does not take back
      const headers = { "if-match": alias.etag }; // somebody may have changed it meanwhile
      return change("PUT", `/admin/aliases/${encodeURIComponent(alias.name)}`, body, { headers });
    },
  });
  if (kept) done(context, "The alias is changed.");
}

function remove({ name, etag }) {
  return undertake(context, {
    title: `Delete the alias ${name}?`,
    text:
      `Requests that name ${name} then mean the model of that name, and are refused where there is` +
      " none. Its targets, prompts and limits are gone. This can’t be undone.",
    action: "Delete the alias",
    work: () => {
      const headers = { "if-match": etag }; // somebody may have changed it meanwhile
      return change("DELETE", `/admin/aliases/${encodeURIComponent(name)}`, null, { headers });
    },
    said: "The alias is deleted.",
  });
}

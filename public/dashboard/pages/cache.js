// The cache of answers: what it keeps, and purging it.

import { change, get } from "../api.js";
import { h } from "../dom.js";
import { clearErrors, choice, field, line, showError, textOf } from "../forms.js";
import { bytes, count, lifetime, moment } from "../format.js";
import { fill, fillAll, placeFor, undertake } from "../operate.js";
import { bar, nothing, table } from "../table.js";

const SCOPES = {
  model: ["A model’s answers", "openai/gpt-5-mini", "As provider/model, or an old name of it."],
  user: ["A user’s answers", "ann", "As the user of its key is named."],
  key: ["One answer", "", "As the header x-proxy-cache-key of a hit names it."],
  all: ["Everything", "", ""],
};

let context;
let places;

export const page = {
  name: "cache",
  title: "Cache",
  lead: "Answers that are kept, so that the same request costs nothing.",
  role: "viewer",
  live: true,
  mount,
  refresh,
};

function mount(root, given) {
  context = given;
  places = { figures: placeFor(2), purges: placeFor(3) };
  const card = (title, ...content) =>
    h(
      "section",
      { class: "card", "aria-label": title },
      h("header", {}, h("h2", {}, title)),
      content,
    );
  root.append(
    h(
      "div",
      { class: "stacked" },
      card("What is kept", places.figures),
      context.can("admin") && card("Purge", purging()),
      card("Last purges", places.purges),
    ),
  );
}

async function refresh(signal) {
  const read = get("/admin/cache", {}, { signal });
  await fillAll(
    fill(places.figures, context, () => read, figures),
    fill(places.purges, context, () => read, purges),
  );
}

function figures(cache) {
  const {
    entries,
    mostEntries,
    bytes: held,
    mostBytes,
    tiers,
    ttl,
    grace,
    scope,
    coalesce,
  } = cache;
  const lower = tiers.filter((tier) => tier !== "memory").map((tier) => tier.toUpperCase());
  const facts = [
    [
      "Entries in memory",
      [bar(entries, mostEntries), `${count(entries)} of ${count(mostEntries)}`],
    ],
    ["Memory", [bar(held, mostBytes), `${bytes(held)} of ${bytes(mostBytes)}`]],
    ["Below memory", lower.length ? lower.join(" and ") : "nothing: each isolate keeps its own"],
    ["Fresh for", ttl ? lifetime(ttl) : "what a request asks for"],
    ["Kept for bad times", `${lifetime(grace)} more, for when every provider fails`],
    ["Shared", scope === "shared" ? "among all users" : "with nobody: a user sees its own answers"],
    [
      "The same request at once",
      coalesce ? "reaches the provider once" : "reaches the provider each time",
    ],
  ];
  return [
    h(
      "dl",
      { class: "facts padded" },
      facts.map(([name, its]) => [h("dt", {}, name), h("dd", {}, its)]),
    ),
    h("p", { class: "foot" }, "Memory is that of the isolate that answered; each has its own."),
  ];
}

function purges({ purges: told }) {
  if (told === null) return nothing("The purges can’t be read now.");
  if (!told.length) return nothing("Nothing was purged.");
  return table("Last purges", PURGES, told, { cards: true });
}

const PURGES = [
  { title: "When", row: true, cell: ({ at }) => moment(Date.parse(at)) },
  { title: "What", cell: ({ scope }) => SCOPES[scope]?.[0] ?? scope },
  { title: "Which", cell: ({ value }) => h("span", { class: "name" }, value) },
];

function purging() {
  const scope = choice(
    "model",
    Object.entries(SCOPES).map(([name, [label]]) => [name, label]),
  );
  const value = line("", { maxlength: 1024, spellcheck: "false" });
  const which = field("value", "Which", value, { hint: SCOPES.model[2] });
  scope.addEventListener("change", () => {
    const [, example, hint] = SCOPES[scope.value];
    which.hidden = scope.value === "all";
    value.placeholder = example;
    which.querySelector(".hint").textContent = hint;
    clearErrors(form);
  });
  value.placeholder = SCOPES.model[1];
  const form = h(
    "form",
    {
      class: "form padded",
      onsubmit: (event) => {
        event.preventDefault();
        clearErrors(form);
        purge(form, scope.value, textOf(value));
      },
    },
    h("div", { class: "form-grid" }, field("scope", "What", scope), which),
    h(
      "div",
      { class: "form-end" },
      h("p", { class: "error", role: "alert" }),
      h("button", { type: "submit", class: "danger" }, "Purge"),
    ),
  );
  return form;
}

function purge(form, scope, value) {
  if (scope !== "all" && !value) {
    showError(form, { param: "value", message: "Say which." });
    return;
  }
  const of = {
    model: `of the model ${value}`,
    user: `of the user ${value}`,
    key: `under ${value}`,
  };
  undertake(context, {
    title: scope === "all" ? "Purge the whole cache?" : `Purge what is kept ${of[scope]}?`,
    text:
      `${scope === "all" ? "Every answer that is kept, of all users, is" : "These answers are"} gone,` +
      " here at once and within 30 s everywhere. The same requests cost money again. This can’t be" +
      " undone.",
    action: "Purge",
    work: () =>
      change(
        "DELETE",
        `/admin/cache?${new URLSearchParams({ [scope]: scope === "all" ? "true" : value })}`,
      ),
    said: "Purged.",
  });
}

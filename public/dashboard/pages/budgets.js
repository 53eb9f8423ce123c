// What teams and tags may spend, all of their keys together.

import { change } from "../api.js";
import { h } from "../dom.js";
import { choice, field, formDialog, line, textOf } from "../forms.js";
import { budgetBars, budgetFields, readBudget } from "../money.js";
import { act, done, fill, leadTo, placeFor, readAll, undertake } from "../operate.js";
import { linkTo } from "../state.js";
import { nothing, table } from "../table.js";

const KINDS = [
  ["team", "Team"],
  ["tag", "Tag"],
];

let context;
let list;

export const page = {
  name: "budgets",
  title: "Budgets",
  lead: "What the keys of a team or a tag may spend together. A key’s own budget holds beside it.",
  role: "viewer",
  mount,
  refresh,
};

function mount(root, given) {
  context = given;
  list = placeFor(4);
  const making = { type: "button", class: "primary", onclick: () => edit(null) };
  const head = [
    h("h2", {}, "Teams and tags"),
    context.can("admin") && h("button", making, "Set a budget"),
  ];
  root.append(h("div", { class: "card" }, h("header", { class: "card-tools" }, head), list));
}

function refresh(signal) {
  return fill(
    list,
    context,
    () => readAll("/admin/budgets", "budgets", {}, signal),
    (budgets) =>
      budgets.length
        ? table("Budgets of teams and tags", COLUMNS, budgets, { cards: true })
        : nothing(
            "No team and no tag has a budget. A key’s team and tags are set where it is issued or" +
              " changed.",
          ),
  );
}

/** `team:search` as the kind and the name. */
function parse(name) {
  const [kind, ...rest] = name.split(":");
  return [kind, rest.join(":")];
}

const COLUMNS = [
  {
    title: "Of",
    row: true,
    cell: ({ name }) => [
      h("span", { class: "name" }, parse(name)[1]),
      h("span", { class: "under" }, parse(name)[0]),
    ],
  },
  { title: "Spent", cell: (budget) => budgetBars(budget, budget.used) },
  { title: "Actions", cell: actions },
];

function actions(budget) {
  const [kind, name] = parse(budget.name);
  const label = `${kind} ${name}`;
  return h(
    "span",
    { class: "actions" },
    leadTo("Requests", label, linkTo("requests", { filters: { [kind]: name } })),
    context.can("admin") && [
      act("Change", label, () => edit(budget)),
      act("Remove", label, () => remove(budget), { dangerous: true }),
    ],
  );
}

async function edit(budget) {
  const [kind, name] = budget ? parse(budget.name) : ["team", ""];
  const who = [
    field("kind", "Of a", choice(kind, KINDS)),
    field("name", "Name", line("", { required: true, maxlength: 256, autofocus: true })),
  ];
  const kept = await formDialog({
    title: budget ? `Change the budget of the ${kind} ${name}` : "Set a budget",
    lead: "Give dollars for a day, a month or both. What was spent stays counted.",
    action: "Save",
    fields: h("div", { class: "form-grid" }, !budget && who, budgetFields(budget, "")),
    submit: (form) => {
      const { elements } = form;
      const of = budget ? budget.name : `${elements.kind.value}:${textOf(elements.name)}`;
      return change("PUT", `/admin/budgets/${encodeURIComponent(of)}`, readBudget(form, "") ?? {});
    },
  });
  if (kept) done(context, "The budget is set.");
}

function remove(budget) {
  const [kind, name] = parse(budget.name);
  return undertake(context, {
    title: `Remove the budget of the ${kind} ${name}?`,
    text: `Nothing then limits what the keys of the ${kind} spend together; their own budgets stay.`,
    action: "Remove the budget",
    work: () => change("DELETE", `/admin/budgets/${encodeURIComponent(budget.name)}`),
    said: "The budget is removed.",
  });
}

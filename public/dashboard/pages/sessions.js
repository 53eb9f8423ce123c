// What conversations and tags have cost. A press on one opens its requests.

import { get } from "../api.js";
import { h } from "../dom.js";
import { ago, count, percent, share, short, usd } from "../format.js";
import { choose, filtersFor, LABEL, state } from "../state.js";
import { bar, failure, fillPanel, nothing, panel, table, waiting } from "../table.js";

const KINDS = {
  session: {
    title: "Sessions",
    path: "/analytics/sessions",
    none: "No session in this window. A request names its conversation with the header x-session-id; Claude Code and Codex do so by themselves.",
  },
  tag: {
    title: "Tags",
    path: "/analytics/tags",
    none: "No tag in this window. Give keys tags, and the requests that they make are counted here.",
  },
};

export const page = {
  name: "sessions",
  title: "Sessions and tags",
  role: "user",
  window: true,
  live: true,
  filters: [
    ...["provider", "model", "user", "key", "team", "tag", "session", "endpoint"],
    ...["status", "error", "cache", LABEL],
  ],
  mount,
  refresh,
};

const panels = {};
let context = null;

function mount(root, its) {
  context = its;
  for (const [kind, { title }] of Object.entries(KINDS)) {
    panels[kind] = panel(`by-${kind}`, title);
    waiting(panels[kind]);
  }
  root.append(h("div", { class: "column" }, Object.values(panels)));
}

async function refresh(signal) {
  const query = { window: state.window, ...filtersFor(page.filters) };
  const read = await Promise.allSettled(
    Object.entries(KINDS).map(async ([kind, { path, title }]) =>
      show(kind, await get(path, query, { signal }), title.toLowerCase()),
    ),
  );
  const errors = read.map(({ reason }) => reason);
  for (const [i, kind] of Object.keys(KINDS).entries())
    if (errors[i]?.status) fillPanel(panels[kind], "", failure(errors[i], context.again));
  const first = errors.find(Boolean);
  if (first && (errors.every(Boolean) || !first.status)) throw first;
}

function show(kind, told, part) {
  const { title, none } = KINDS[kind];
  const rows = told[part];
  if (!rows.length) {
    fillPanel(panels[kind], "", nothing(none));
    return;
  }
  const most = Math.max(...rows.map((row) => row.cost ?? 0));
  const columns = [
    { title: title.slice(0, -1), row: true, cell: (row) => cellOf(kind, row) },
    { title: "Requests", number: true, cell: (row) => count(row.requests) },
    {
      title: "Errors",
      number: true,
      cell: (row) =>
        h(
          "span",
          { class: row.errors ? "bad-text" : "muted" },
          percent(share(row.errors, row.requests)),
        ),
    },
    { title: "Input", number: true, extra: true, cell: (row) => short(row.inputTokens) },
    { title: "Output", number: true, extra: true, cell: (row) => short(row.outputTokens) },
    { title: "Cost", number: true, cell: (row) => usd(row.cost) },
    { title: "Beside the dearest", extra: true, cell: (row) => bar(row.cost ?? 0, most) },
    { title: "First", number: true, extra: true, cell: (row) => ago(Date.parse(row.first)) },
    { title: "Last", number: true, cell: (row) => ago(Date.parse(row.last)) },
  ];
  const sum = rows.reduce((all, row) => all + (row.cost ?? 0), 0);
  const note = `${told.hasMore ? "the dearest " : ""}${count(rows.length)} for ${usd(sum)}`;
  fillPanel(panels[kind], note, table(title, columns, rows, { cards: true }));
}

/** The name, which opens its requests, and below it whose it is. */
function cellOf(kind, row) {
  const value = row[kind];
  const filters = kind === "session" ? { session: value, user: row.user } : { tag: value };
  const opening = h(
    "button",
    {
      type: "button",
      class: "link name",
      title: `Show the requests of ${kind} ${value}`,
      "data-focus": `${kind}:${value}`,
      onclick: () => choose({ page: "requests", filters }),
    },
    value,
  );
  return [opening, row.user && h("span", { class: "under" }, row.user)];
}

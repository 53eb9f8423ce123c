// The settings in force and where each comes from. They are changed where the Worker is deployed.

import { get } from "../api.js";
import { h, icon, replace } from "../dom.js";
import { count } from "../format.js";
import { fill, hold, placeFor, searchBox, wordsOf } from "../operate.js";
import { badge } from "../pill.js";
import { nothing, table } from "../table.js";

const TITLES = {
  access: "Who may call",
  server: "Requests and their memory",
  cache: "Cache",
  privacy: "Personal data and secrets",
  body_log: "Body log",
  responses: "Kept responses",
  limits: "Limits",
  routing: "Routing",
  analytics: "Figures",
  traces: "Traces",
  providers: "Providers",
};
const SOURCES = {
  default: ["off", "default", "Nothing is set, so the default holds."],
  deployment: ["info", "deployment", "A var or a secret of the Worker."],
  secrets_store: ["info", "Secrets Store", "Bound to a secret of Cloudflare’s Secrets Store."],
};

let context;
let parts;
let report = null;

export const page = {
  name: "settings",
  title: "Settings",
  lead: "What is in force and where it comes from. A deployment sets them: as vars, secrets, or in the Secrets Store.",
  role: "viewer",
  mount,
  refresh,
};

function mount(root, given) {
  context = given;
  const search = searchBox("Name or meaning", "Search the settings", draw);
  const set = h("input", { type: "checkbox", onchange: draw });
  parts = { search, set, note: h("span", { class: "muted", role: "status" }), list: placeFor(8) };
  root.append(
    h(
      "div",
      { class: "card-tools loose" },
      search,
      h("label", { class: "check" }, set, " Only what is set"),
      parts.note,
    ),
    parts.list,
  );
}

function refresh(signal) {
  const read = async () => {
    report = await get("/admin/settings", {}, { signal });
  };
  return fill(parts.list, context, read, show);
}

function draw() {
  if (report) replace(parts.list, show());
}

function show() {
  const words = wordsOf(parts.search);
  const shown = report.settings.filter(
    (setting) =>
      (!parts.set.checked || setting.set) && hold([setting.name, setting.help], words),
  );
  parts.note.textContent = `${count(shown.length)} of ${count(report.settings.length)}`;
  const names = [...new Set(shown.map(({ section }) => section))];
  return h(
    "div",
    { class: "stacked" },
    problems(),
    names.map((name) => {
      const its = shown.filter(({ section }) => section === name);
      return card(
        name,
        name === "providers"
          ? providers(its, words.length > 0 || parts.set.checked)
          : settings(name, its),
      );
    }),
    !names.length && h("div", { class: "card" }, nothing("No setting fits.")),
  );
}

function problems() {
  if (!report.problems.length) return null;
  const told = report.problems.map(({ setting, message }) =>
    h("li", {}, setting && h("code", {}, setting), setting && ": ", message),
  );
  return h(
    "section",
    { class: "notice warn", "aria-label": "Problems" },
    h("h2", {}, icon("warn"), " Look at this"),
    h("ul", {}, told),
  );
}

function card(name, content) {
  const title = TITLES[name] ?? name.replaceAll("_", " ");
  return h(
    "section",
    { class: "card in-columns", "aria-label": title },
    h("header", {}, h("h2", {}, title)),
    content,
  );
}

function settings(caption, rows) {
  return table(`Settings: ${TITLES[caption] ?? caption}`, COLUMNS, rows, { cards: true });
}

/** Each provider's settings behind its name: there are many, and few are set. open: the reader has
 * narrowed them, and wants to see what is left. */
function providers(rows, open) {
  return [...new Set(rows.map(({ provider }) => provider))].map((provider) => {
    const its = rows.filter((row) => row.provider === provider);
    const set = its.filter((row) => row.set).length;
    return h(
      "details",
      { class: "fold", open, "data-focus": open ? null : `settings:${provider}` },
      h(
        "summary",
        {},
        h("span", { class: "name" }, provider),
        h("span", { class: "muted" }, set ? `${count(set)} set` : "nothing set"),
      ),
      settings(provider, its),
    );
  });
}

const COLUMNS = [
  {
    title: "Setting",
    row: true,
    cell: ({ name, help }) => [
      h("code", { class: "name" }, name),
      h("span", { class: "under prose" }, marked(help)),
    ],
  },
  { title: "In force", cell: value },
  {
    title: "From",
    cell: ({ source }) => badge(...(SOURCES[source] ?? ["info", source.replaceAll("_", " ")])),
  },
];

function value({ value: text, secret, set, default: standard }) {
  if (secret) return h("span", { class: "muted" }, set ? "set, and shown to nobody" : "not set");
  if (!text) return h("span", { class: "muted" }, "not set");
  return [
    h("code", { class: "wrap" }, text),
    set &&
      text !== standard &&
      h("span", { class: "under" }, standard ? `default: ${standard}` : "not set by default"),
  ];
}

/** Markdown's code between backticks; all else as it is. */
function marked(text) {
  return text.split("`").map((part, i) => (i % 2 ? h("code", {}, part) : part));
}

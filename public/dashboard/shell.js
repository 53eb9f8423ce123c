// The frame around the pages: navigation, the tools above a page, and what concerns all of them.

import { at, h, icon, replace } from "./dom.js";
import { moment } from "./format.js";
import { GROUPS, PAGES } from "./pages/index.js";
import { choose, filtersFor, FILTERS, LABEL, linkTo, state, WINDOWS } from "./state.js";

const RANKS = { user: 0, viewer: 1, admin: 2 };
const root = document.documentElement;
const mounted = new Set();

/** Whether a reader of `role` may do what needs at least `least`. */
export function can(role, least) {
  return RANKS[role] >= RANKS[least];
}

/** The page that the address names; the first one where there is none of that name. */
export function chosenPage() {
  return PAGES.find((page) => page.name === state.page) ?? PAGES[0];
}

/** Whether any page was built. */
export function hasMounted() {
  return mounted.size > 0;
}

/**
 * Shows the chosen page to `me`. `moved`: the reader came from elsewhere, so the focus goes along.
 * Returns the page, or null where the reader may not see it.
 */
export function showPage(me, context, moved) {
  const page = chosenPage();
  const barred = !isOpenTo(page, me);
  at("tools").hidden = barred;
  at("windows").hidden = !page.window;
  at("timer").hidden = !page.live;
  at("fresh").textContent = "";
  showNavigation(me, page);
  showFilters(page);
  for (const choice of at("windows").querySelectorAll("input"))
    choice.checked = choice.value === state.window;
  document.title = `${page.title} · AI proxy`;
  if (!mounted.has(page)) mount(page, context, barred);
  for (const each of mounted) at(`view-${each.name}`).hidden = each !== page;
  if (moved) {
    openMenu(false);
    scrollTo(0, 0);
    at("main").focus({ preventScroll: true });
  }
  return barred ? null : page;
}

function isOpenTo({ role, spends }, me) {
  return can(me.role, role) && !(spends && me.role === "viewer");
}

function mount(page, context, barred) {
  const body = h("div", { class: "page-body" });
  const title = h("h1", { id: `${page.name}-title` }, page.title);
  const head = h("header", { class: "page-head" }, title, page.lead && h("p", {}, page.lead));
  const section = h("section", { id: `view-${page.name}`, "aria-labelledby": title.id }, head, body);
  at("main").append(section);
  mounted.add(page);
  if (barred) body.append(h("p", { class: "nothing" }, reason(page)));
  else page.mount(body, context);
}

function reason({ role, spends }) {
  if (spends) return "A viewer’s key reads and calls no model. Sign in with a key of your own.";
  return role === "admin"
    ? "This page is for admins. Sign in with the admin token."
    : "This page shows what concerns all users. Sign in with the admin token or a viewer’s key.";
}

function showNavigation(me, current) {
  const groups = GROUPS.map(({ title, pages }) => ({
    title,
    pages: pages.filter((page) => isOpenTo(page, me)),
  }));
  const link = (page) =>
    h(
      "a",
      {
        href: linkTo(page.name),
        "data-focus": `page:${page.name}`,
        "aria-current": page === current ? "page" : null,
      },
      page.title,
    );
  at("nav").hidden = at("menu").hidden = false;
  replace(
    at("nav"),
    groups
      .filter(({ pages }) => pages.length)
      .map(({ title, pages }) =>
        h("div", { role: "group", "aria-label": title }, h("p", {}, title), pages.map(link)),
      ),
  );
}

function showFilters(page) {
  const chips = Object.entries(filtersFor(page.filters ?? [])).map(([name, value]) => {
    const label = `${FILTERS[name] ?? name.slice(LABEL.length)}: ${shownValue(name, value)}`;
    return h(
      "li",
      {},
      h(
        "button",
        {
          type: "button",
          class: "chip",
          "data-focus": `chip:${name}`,
          "aria-label": `Remove the filter ${label}`,
          onclick: () => choose({ filters: { [name]: null } }),
        },
        h("span", {}, label),
        icon("close"),
      ),
    );
  });
  at("filters").hidden = !chips.length;
  const clear = Object.fromEntries(Object.keys(state.filters).map((name) => [name, null]));
  const all = h(
    "button",
    { type: "button", class: "quiet", onclick: () => choose({ filters: clear }) },
    "Remove all filters",
  );
  replace(at("filters").firstElementChild, chips, chips.length > 1 && h("li", {}, all));
}

/** Moments as the reader's clock has them; all else as it is. */
function shownValue(name, value) {
  const at = name === "from" || name === "to" ? Date.parse(value) : Number.NaN;
  return Number.isNaN(at) ? value : moment(at);
}

/** Wires what is around the pages; `refresh` reads the page that is shown. */
export function wireShell(refresh) {
  for (const [value, name] of Object.entries(WINDOWS)) {
    const choice = h("input", { type: "radio", name: "window", value, "aria-label": name });
    at("windows").append(
      h("label", { title: name }, choice, h("span", { "aria-hidden": "true" }, value)),
    );
  }
  at("windows").addEventListener("change", (event) => choose({ window: event.target.value }));
  at("refresh").append(icon("refresh"));
  at("refresh").addEventListener("click", () => refresh.now(true));
  at("every").value = String(refresh.every);
  at("every").addEventListener("change", (event) => {
    refresh.every = Number(event.target.value);
  });
  at("menu").prepend(icon("menu"));
  at("menu").addEventListener("click", () => openMenu(!isMenuOpen()));
  at("side").addEventListener("click", ({ target }) => target.closest("a") && openMenu(false));
  addEventListener("keydown", ({ key }) => {
    if (key !== "Escape" || !isMenuOpen()) return;
    openMenu(false);
    at("menu").focus();
  });
  at("theme").addEventListener("click", () => root.dispatchEvent(new Event("theme-next")));
  root.addEventListener("theme-changed", showTheme);
  showTheme();
}

function isMenuOpen() {
  return at("menu").getAttribute("aria-expanded") === "true";
}

function openMenu(open) {
  at("menu").setAttribute("aria-expanded", String(open));
  at("side").classList.toggle("open", open);
}

function showTheme() {
  const { choice } = root.dataset;
  replace(at("theme"), icon(choice));
  at("theme").setAttribute("aria-label", `Theme: ${choice}. Change it`);
  at("theme").title = `Theme: ${choice}`;
}

/** For ears only, and only on what the reader asked for: a refresh by the clock stays silent. */
export function say(text) {
  at("spoken").textContent = "";
  requestAnimationFrame(() => {
    at("spoken").textContent = text;
  });
}

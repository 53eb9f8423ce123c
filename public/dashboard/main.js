// What the page does when: sign in, show the chosen view, read it anew, sign out.

import { get, key, ORIGIN } from "./api.js";
import { firstCurl } from "./code.js";
import { at, h, icon, replace } from "./dom.js";
import { clock } from "./format.js";
import * as overview from "./overview.js";
import * as playground from "./playground.js";
import { refresher } from "./refresh.js";
import * as requests from "./requests.js";
import * as signIn from "./sign-in.js";
import {
  choose,
  DIMENSIONS,
  linkTo,
  onChange,
  readAddress,
  state,
  VIEWS,
  WINDOWS,
} from "./state.js";

const ROLES = { open: "Open access", user: "User", operator: "Operator" };
const RETRY_MS = 5_000;
const root = document.documentElement;
let role = null;

const refresh = refresher(async (signal, asked) => {
  if (state.view === "playground") return;
  at("refresh").classList.add("turning");
  try {
    if (state.view === "overview")
      await overview.read(signal, asked, { admin: role !== "user", again });
    else await requests.read(signal, again);
    at("fresh").textContent = `as of ${clock(Date.now())}`;
    trouble(null);
    if (asked) say("Figures are up to date.");
  } catch (error) {
    trouble(error);
  } finally {
    at("refresh").classList.remove("turning");
  }
});

function again() {
  refresh.now(true);
}

/** For ears only, and only on what the reader asked for: a refresh by the clock stays silent. */
function say(text) {
  at("spoken").textContent = "";
  requestAnimationFrame(() => {
    at("spoken").textContent = text;
  });
}

/** Tells what concerns the whole page; null when it is over. */
function trouble(error) {
  if (error?.name === "AbortError") return;
  if (error?.status === 401) {
    leave(`You were signed out: ${error.message}`);
    return;
  }
  at("trouble").hidden = !error;
  at("trouble").textContent = error ? `${error.message} What is below is from before.` : "";
}

/** Shows what is chosen. `moved`: the reader came here from somewhere, so the focus goes along. */
function show(moved) {
  for (const view of VIEWS) at(`view-${view}`).hidden = role === null || view !== state.view;
  at("view-sign-in").hidden = role !== null;
  at("opening").hidden = true;
  at("tools").hidden = role === null || state.view === "playground";
  at("windows").hidden = state.view !== "overview";
  const nav = document.querySelector("nav");
  nav.hidden = role === null;
  for (const [i, link] of [...nav.children].entries()) {
    link.href = linkTo(VIEWS[i]);
    if (VIEWS[i] === state.view) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  for (const choice of at("windows").querySelectorAll("input"))
    choice.checked = choice.value === state.window;
  const titled = state.view[0].toUpperCase() + state.view.slice(1);
  document.title = `${role === null ? "Sign in" : titled} · AI proxy`;
  replace(at("filters"), DIMENSIONS.filter((name) => state.filters[name]).map(chip));
  if (role === null) return;
  if (moved) at("main").focus({ preventScroll: true });
  if (state.view === "playground") playground.open().catch(trouble);
  else again();
}

function chip(name) {
  const label = `${name}: ${state.filters[name]}`;
  return h(
    "li",
    {},
    h(
      "button",
      {
        type: "button",
        class: "chip",
        "aria-label": `Remove the filter ${label}`,
        onclick: () => choose({ filters: { [name]: null } }),
      },
      label,
      icon("close"),
    ),
  );
}

function enter(found, moved = true) {
  role = found;
  at("who").hidden = false;
  at("who").textContent = ROLES[role];
  at("sign-out").hidden = role === "open";
  at("sign-in").hidden = role !== "open";
  at("first-curl").textContent = firstCurl(ORIGIN, role !== "open");
  show(moved);
}

/** Ends the session; nothing that it read stays on the page. */
function leave(reason = "") {
  refresh.stop();
  key.clear();
  if (role !== null) {
    playground.forget();
    sessionStorage.setItem("left", reason);
    location.hash = "#/overview";
    location.reload();
    return;
  }
  for (const id of ["who", "sign-out", "sign-in"]) at(id).hidden = true;
  show(false);
  signIn.show(reason);
}

function wire() {
  overview.prepare();
  requests.prepare(again, trouble);
  playground.prepare();
  signIn.wire(enter);
  for (const [value, { name }] of Object.entries(WINDOWS)) {
    const choice = h("input", { type: "radio", name: "window", value, "aria-label": name });
    at("windows").append(
      h("label", { title: name }, choice, h("span", { "aria-hidden": "true" }, value)),
    );
  }
  at("windows").addEventListener("change", (event) => choose({ window: event.target.value }));
  at("refresh").append(icon("refresh"));
  at("refresh").addEventListener("click", again);
  at("every").value = String(refresh.every);
  at("every").addEventListener("change", (event) => {
    refresh.every = Number(event.target.value);
  });
  at("sign-out").addEventListener("click", () => leave());
  at("sign-in").addEventListener("click", () => {
    refresh.stop();
    role = null;
    show(false);
    signIn.show();
  });
  at("theme").addEventListener("click", () => root.dispatchEvent(new Event("theme-next")));
  root.addEventListener("theme-changed", showTheme);
  showTheme();
}

function showTheme() {
  const { choice } = root.dataset;
  replace(at("theme"), icon(choice));
  at("theme").setAttribute("aria-label", `Theme: ${choice}. Change it`);
  at("theme").title = `Theme: ${choice}`;
}

/** Finds out who reads, with the key that this tab has kept, and lets them in. */
async function open() {
  const reason = sessionStorage.getItem("left") ?? "";
  sessionStorage.removeItem("left");
  try {
    const found = await signIn.role(key.get());
    trouble(null);
    enter(found, false);
  } catch (error) {
    if (error.status === 401) {
      leave(key.get() ? `This key was not let in: ${error.message}` : reason);
      return;
    }
    at("trouble").hidden = false;
    at("trouble").textContent = `${error.message} Trying again …`;
    setTimeout(open, RETRY_MS);
  }
}

async function showVersion() {
  const { version, environment } = await get("/health");
  at("version").textContent = `version ${version} · ${environment}`;
}

wire();
readAddress();
onChange(show);
addEventListener("hashchange", readAddress);
showVersion().catch(() => {}); // whoever is down is told of by what comes next
open();

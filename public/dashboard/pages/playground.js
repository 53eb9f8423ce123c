// Conversations with up to three models at once, and the code that asks the same.

import { get, key, ORIGIN } from "../api.js";
import { LANGUAGES, shorten } from "../code.js";
import { h, icon } from "../dom.js";
import { clearErrors, copyButton, showError } from "../forms.js";
import { Lane } from "../playground/lane.js";
import { options } from "../playground/options.js";
import { pictures } from "../playground/images.js";
import { choose } from "../state.js";

let language = Object.keys(LANGUAGES)[0];
const lanes = [];
let made = 0;
let parts;
let listed = false;
let wanted = null; // a model that another page wants to be tried

export const page = {
  name: "playground",
  title: "Playground",
  lead: "Ask a model, or several side by side, and see what each answer took.",
  role: "user",
  spends: true,
  mount,
  refresh,
};

/** Opens the playground with a model. */
export function tryModel(model) {
  wanted = model;
  choose({ page: page.name });
}

function mount(root) {
  const asking = options(showCode, regroup);
  const images = pictures(showCode);
  const prompt = h("textarea", {
    id: "prompt",
    rows: 3,
    required: true,
    placeholder: "Ask something",
    "aria-label": "Prompt",
    "aria-describedby": "prompt-hint prompt-error",
  });
  parts = {
    asking,
    images,
    prompt,
    code: h("code", { id: "code" }),
    lanes: h("div", { class: "lanes" }),
  };
  const main = h("div", { class: "talk" }, parts.lanes, composer(), codeCard());
  root.append(h("div", { class: "play" }, asking.element, main));
  regroup();
  busy();
}

/** The models are asked for once: that request is in the figures too. */
async function refresh(signal) {
  if (wanted !== null) {
    clear();
    parts.asking.choose(wanted);
    wanted = null;
  }
  showCode();
  if (listed) return;
  const { data } = await get("/v1/models", {}, { signal });
  listed = true;
  parts.asking.list(data.map(({ id }) => id));
}

function composer() {
  const { prompt, images } = parts;
  const send = h("button", { id: "send", type: "submit", class: "primary" }, "Send");
  const stop = { id: "stop", type: "button", onclick: () => lanes.forEach((lane) => lane.stop()) };
  const anew = { type: "button", onclick: clear };
  const error = h("p", { id: "prompt-error", class: "error", role: "alert" });
  const form = h(
    "form",
    {
      class: "card composer",
      oninput: showCode,
      onkeydown: (event) => {
        if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
      },
      onpaste: (event) => {
        if (event.clipboardData.files.length) images.take([...event.clipboardData.files]);
      },
      onsubmit: (event) => {
        event.preventDefault();
        ask();
      },
    },
    prompt,
    error,
    h(
      "div",
      { class: "row" },
      send,
      h("button", stop, "Stop"),
      h("button", anew, "New conversation"),
      images.element,
      h(
        "span",
        { id: "prompt-hint", class: "muted small" },
        h("kbd", {}, "Ctrl"),
        " ",
        h("kbd", {}, "Enter"),
        " sends",
      ),
    ),
  );
  Object.assign(parts, { send, error, stop: form.querySelector("#stop") });
  return form;
}

function codeCard() {
  const choose = (event) => {
    language = event.target.value;
    showCode();
  };
  const segments = Object.keys(LANGUAGES).map((label, i) =>
    h(
      "label",
      {},
      h("input", { type: "radio", name: "language", value: label, checked: i === 0 }),
      h("span", {}, label),
    ),
  );
  const title = h("h2", { id: "code-title" }, icon("right"), "The same request as code");
  return h(
    "details",
    { class: "card code-card" },
    h("summary", {}, title),
    h(
      "div",
      { class: "code-tools" },
      h(
        "fieldset",
        { id: "languages", class: "segments", onchange: choose },
        h("legend", { class: "unseen" }, "Language"),
        segments,
      ),
      copyButton(() => code(), parts.code),
    ),
    h(
      "pre",
      { class: "code", tabindex: "0", role: "group", "aria-labelledby": "code-title" },
      parts.code,
    ),
  );
}

/** One conversation for each model that is named. removed: the place of one that is no more. */
function regroup(removed = null) {
  const models = parts.asking.models();
  if (removed !== null) lanes.splice(removed, 1)[0].stop();
  while (lanes.length > models.length) lanes.pop().stop();
  while (lanes.length < models.length)
    lanes.push(new Lane((made += 1), () => parts.asking.read(), busy));
  for (const [place, lane] of lanes.entries()) lane.name(models[place]);
  parts.lanes.replaceChildren(...lanes.map(({ element }) => element));
  parts.lanes.dataset.count = lanes.length;
  showCode();
}

function busy() {
  const running = lanes.some((lane) => lane.running);
  parts.send.disabled = running;
  parts.stop.disabled = !running;
  if (!running) showCode();
}

function message() {
  const { prompt, images } = parts;
  const pieces = images.parts();
  const text = prompt.value;
  if (!pieces.length) return { role: "user", content: text };
  return { role: "user", content: [{ type: "text", text }, ...pieces] };
}

function ask() {
  clearErrors(parts.asking.element);
  parts.error.textContent = "";
  if (lanes.some((lane) => lane.running)) return;
  if (lanes.some((lane) => lane.waits)) {
    parts.error.textContent = "Send the results of the calls first.";
    return;
  }
  try {
    parts.asking.read();
  } catch (error) {
    showError(parts.asking.element, error);
    return;
  }
  const said = message();
  for (const lane of lanes) lane.send([said]);
  parts.prompt.value = "";
  parts.images.clear();
}

function clear() {
  for (const lane of lanes) lane.clear();
  parts.error.textContent = "";
  parts.prompt.focus();
  showCode();
}

/** The code of the next request of the first conversation. */
function code(shown = (body) => body) {
  const next = message();
  const messages =
    lanes[0].history.length && !parts.prompt.value && !parts.images.parts().length ? [] : [next];
  if (next.content === "") next.content = "Hello!";
  const body = JSON.parse(JSON.stringify(lanes[0].request(messages))); // without what is undefined
  return LANGUAGES[language](shown(body), ORIGIN, key.get() !== null);
}

function showCode() {
  if (!lanes.length) return;
  try {
    parts.code.textContent = code(shorten);
  } catch (error) {
    if (!error.param) throw error;
    parts.code.textContent = error.message; // tools that are no JSON yet
  }
}

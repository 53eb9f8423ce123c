// One request to the proxy: its answer as it comes, what it took, and the code that does the same.

import { ask, events, get, key, ORIGIN } from "../api.js";
import { LANGUAGES } from "../code.js";
import { at, h, replace } from "../dom.js";
import { count, name, span, usd } from "../format.js";
import { badge } from "../pill.js";
import { attempts } from "../requests/attempts.js";

const form = () => at("ask");
let running = null;
let language = Object.keys(LANGUAGES)[0];
let listed = false;

export const page = { name: "playground", title: "Playground", role: "user", spends: true, mount, refresh };

function mount(root) {
  root.append(at("playground").content.cloneNode(true));
  form().addEventListener("submit", (event) => {
    event.preventDefault();
    send();
  });
  form().addEventListener("input", showCode);
  form().addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form().requestSubmit();
  });
  at("stop").addEventListener("click", () => running?.abort());
  at("copy").addEventListener("click", copy);
  for (const [i, label] of Object.keys(LANGUAGES).entries()) {
    const choice = h("input", { type: "radio", name: "language", value: label, checked: i === 0 });
    at("languages").append(h("label", {}, choice, h("span", {}, label)));
  }
  at("languages").addEventListener("change", (event) => {
    language = event.target.value;
    showCode();
  });
  replace(at("answer"), h("p", { class: "nothing" }, "The answer appears here as it is written."));
}

/** The models are asked for once: that request is in the figures too. */
async function refresh(signal, asked) {
  showCode();
  if (listed && !asked) return;
  const { data } = await get("/v1/models", {}, { signal });
  listed = true;
  at("model-list").replaceChildren(...data.map((model) => h("option", { value: model.id })));
}

function request() {
  const fields = form().elements;
  const text = (field) => fields[field].value.trim() || undefined;
  const number = (field) => (fields[field].value === "" ? undefined : Number(fields[field].value));
  return {
    prompt: fields.prompt.value,
    system: text("system"),
    model: text("model"),
    temperature: number("temperature"),
    maxTokens: number("maxTokens"),
    strategy: text("strategy"),
    cache: text("cache") && { mode: text("cache") },
    fallback: fields.fallback.checked ? undefined : false,
    stream: fields.stream.checked || undefined,
  };
}

function showCode() {
  const body = JSON.parse(JSON.stringify(request())); // without what is undefined
  if (!body.prompt) body.prompt = "Hello!";
  at("code").textContent = LANGUAGES[language](body, ORIGIN, key.get() !== null);
}

async function copy() {
  let word = "Copied";
  try {
    await navigator.clipboard.writeText(at("code").textContent);
  } catch {
    getSelection().selectAllChildren(at("code"));
    word = "Selected";
  }
  at("copy").textContent = word;
  setTimeout(() => {
    at("copy").textContent = "Copy";
  }, 2_000);
}

async function send() {
  running?.abort();
  const mine = new AbortController();
  running = mine;
  const run = { began: performance.now(), first: null, text: "", reasoning: "", calls: new Map() };
  busy(true);
  at("phase").textContent = "Asking …";
  at("receipt").replaceChildren();
  const show = display();
  try {
    const response = await ask(request(), mine.signal);
    const streamed = response.headers.get("content-type")?.startsWith("text/event-stream");
    const done = streamed
      ? await follow(response, run, show)
      : whole(await response.json(), run, show);
    receipt(done, run);
    at("phase").textContent = "Done";
  } catch (error) {
    if (error.name === "AbortError") at("phase").textContent = "Stopped";
    else refused(error, run);
  } finally {
    if (running === mine) busy(false);
  }
}

/** Places for an answer that is on its way; returns what shows a run in them. */
function display() {
  const thought = h("p", { class: "prose" });
  const reasoning = h("details", { hidden: true }, h("summary", {}, "Reasoning"), thought);
  const said = h("p", { class: "prose" });
  const calls = h("pre", { class: "code", hidden: true });
  replace(at("answer"), reasoning, said, calls);
  return (run) => {
    reasoning.hidden = !run.reasoning;
    thought.textContent = run.reasoning;
    said.textContent = run.text;
    calls.hidden = !run.calls.size;
    calls.textContent = [...run.calls.values()].map((c) => `${c.name}(${c.arguments})`).join("\n");
    at("answer").scrollTop = at("answer").scrollHeight;
  };
}

async function follow(response, run, show) {
  for await (const [event, data] of events(response)) {
    if (event === "done") return data;
    if (event === "error")
      throw Object.assign(new Error(data.error.message), {
        type: data.error.type,
        metadata: data.metadata,
      });
    if (run.first === null) {
      run.first = performance.now() - run.began;
      at("phase").textContent = "Writing …";
    }
    run.text += data.text ?? data.refusal ?? "";
    run.reasoning += data.reasoning ?? "";
    if (data.toolCall) piece(run.calls, data.toolCall);
    show(run);
  }
  throw new Error("The stream ended without its last event.");
}

function piece(calls, { index, name: called = "", arguments: more = "" }) {
  const call = calls.get(index) ?? { name: "", arguments: "" };
  calls.set(index, { name: call.name + called, arguments: call.arguments + more });
}

function whole(answer, run, show) {
  run.text = answer.data || answer.refusal || "";
  run.reasoning = answer.reasoning ?? "";
  for (const [index, { function: its }] of (answer.toolCalls ?? []).entries())
    piece(run.calls, { index, ...its });
  show(run);
  return answer;
}

/** What the answer took and who gave it. */
function receipt(done, run) {
  const { usage, metadata } = done;
  const cache = [metadata.cacheStatus, metadata.cacheTier].filter(Boolean).join(" · ");
  const facts = [
    ["Provider", name(done.provider)],
    ["Model", name(done.model)],
    [
      "Cache",
      h("span", { class: `tag ${metadata.cacheStatus === "hit" ? "ok" : "plain"}` }, cache),
    ],
    [
      "Tokens",
      usage ? `${count(usage.inputTokens)} in, ${count(usage.outputTokens)} out` : "not told",
    ],
    [
      "Cost",
      metadata.cost === null
        ? "no price known"
        : [usd(metadata.cost), metadata.costOrigin].filter(Boolean).join(" "),
    ],
    ["First token", run.first === null ? "not streamed" : span(run.first)],
    ["Whole answer", span(performance.now() - run.began)],
    ["In the proxy", span(metadata.responseTime)],
    ["Finish", name(metadata.finishReason)],
    ["Request", metadata.requestId],
  ];
  const list = h(
    "dl",
    { class: "facts" },
    facts.map(([label, value]) => [h("dt", {}, label), h("dd", {}, value)]),
  );
  replace(at("receipt"), list, metadata.attempts?.length ? attempts(metadata.attempts) : null);
}

function refused(error, run) {
  at("phase").textContent = "Failed";
  const message = h("p", {}, badge("bad", name(error.type, "error")), ` ${error.message}`);
  if (run.text) at("answer").append(message);
  else replace(at("answer"), message);
  const tries = error.metadata?.attempts;
  const id = error.metadata?.requestId;
  replace(
    at("receipt"),
    id && h("dl", { class: "facts" }, h("dt", {}, "Request"), h("dd", {}, id)),
    tries?.length ? attempts(tries) : null,
  );
}

function busy(yes) {
  at("send").disabled = yes;
  at("stop").disabled = !yes;
  at("answer").setAttribute("aria-busy", String(yes));
}

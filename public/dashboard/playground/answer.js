// An answer as it is written, what it took, and the calls of tools that wait for a result.

import { h, icon, replace } from "../dom.js";
import { area, field } from "../forms.js";
import { count, name, span, usd } from "../format.js";
import { badge } from "../pill.js";
import { attempts } from "../requests/attempts.js";

/** The place of an answer that is on its way. Returns its `element` and `show(run)`. */
export function answerPlace() {
  const thought = h("p", { class: "prose" });
  const reasoning = h("details", { hidden: true }, h("summary", {}, "Reasoning"), thought);
  const said = h("p", { class: "prose said" });
  const calls = h("pre", { class: "code", hidden: true, tabindex: "0" });
  const element = h("div", { class: "turn answer", "aria-busy": "true" }, reasoning, said, calls);
  const show = (run) => {
    reasoning.hidden = !run.reasoning;
    thought.textContent = run.reasoning;
    said.textContent = run.text;
    calls.hidden = !run.calls.size;
    calls.textContent = [...run.calls.values()].map((c) => `${c.name}(${c.arguments})`).join("\n");
  };
  return { element, show };
}

/** What the reader has sent, with its pictures. */
export function asked(message) {
  const { content } = message;
  const parts = typeof content === "string" ? [{ type: "text", text: content }] : content;
  const pictures = parts.filter(({ type }) => type === "image_url");
  const shown = parts.map((part) => {
    if (part.type === "text") return h("p", { class: "prose" }, part.text);
    const alt = `Image ${pictures.indexOf(part) + 1} of the prompt`;
    return h("img", { class: "picture", src: part.image_url.url, alt });
  });
  const who = message.role === "tool" ? `Result of ${message.tool_call_id}` : "You";
  return h("div", { class: "turn asked" }, h("p", { class: "speaker muted small" }, who), shown);
}

/** What the answer took and who gave it. first: ms until its first piece, null for a whole one. */
export function receipt(done, run) {
  const { usage, metadata } = done;
  const cost = metadata.cost === null ? "no price known" : usd(metadata.cost);
  const figures = [
    ["First token", run.first === null ? "not streamed" : span(run.first)],
    ["Whole answer", span(run.took)],
    [
      "Tokens",
      usage ? `${count(usage.inputTokens)} in, ${count(usage.outputTokens)} out` : "not told",
    ],
    ["Cost", [cost, metadata.cost !== null && metadata.costOrigin].filter(Boolean).join(" ")],
  ];
  const cache = [metadata.cacheStatus, metadata.cacheTier].filter(Boolean).join(" · ");
  const more = [
    ["Provider", name(done.provider)],
    ["Model", name(done.model)],
    ["Cache", h("span", { class: `tag ${metadata.cacheStatus === "hit" ? "ok" : ""}` }, cache)],
    ["In the proxy", span(metadata.responseTime)],
    ["Finish", name(metadata.finishReason)],
    ["Request", metadata.requestId],
    metadata.dropped?.length && ["Left out", metadata.dropped.join(", ")],
  ].filter(Boolean);
  return h(
    "div",
    { class: "receipt" },
    h(
      "dl",
      { class: "figures" },
      figures.map(([label, value]) => h("div", {}, h("dt", {}, label), h("dd", {}, value))),
    ),
    h(
      "details",
      {},
      h("summary", {}, `${name(done.provider)} · ${cache}`),
      facts(more),
      metadata.attempts?.length > 0 && attempts(metadata.attempts),
    ),
  );
}

function facts(pairs) {
  return h(
    "dl",
    { class: "facts" },
    pairs.map(([label, value]) => [h("dt", {}, label), h("dd", {}, value)]),
  );
}

/** What went wrong, with what was tried; `again` asks once more. */
export function refusal(error, again) {
  const id = error.metadata?.requestId;
  return h(
    "div",
    { class: "refusal" },
    h("p", {}, badge("bad", name(error.type, "error")), ` ${error.message}`),
    id && facts([["Request", id]]),
    error.metadata?.attempts?.length > 0 && attempts(error.metadata.attempts),
    h("p", {}, h("button", { type: "button", onclick: again }, icon("refresh"), "Try again")),
  );
}

/** A form for the results of the calls; send(messages) goes on with them. */
export function resultsForm(calls, send) {
  const fields = calls.map((call, i) => {
    const control = area("", { rows: 2, required: true, placeholder: '{"degrees": 21}' });
    const its = call.function ?? call.custom;
    return field(`result-${i}`, `Result of ${its.name}`, control, { hint: call.id, wide: true });
  });
  const form = h(
    "form",
    {
      class: "results",
      onsubmit: (event) => {
        event.preventDefault();
        const messages = calls.map(({ id }, i) => ({
          role: "tool",
          tool_call_id: id,
          content: form.elements[`result-${i}`].value,
        }));
        replace(form);
        form.remove();
        send(messages);
      },
    },
    fields,
    h(
      "button",
      { type: "submit", class: "primary" },
      calls.length > 1 ? "Send the results" : "Send the result",
    ),
  );
  return form;
}

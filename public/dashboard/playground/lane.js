// A conversation with one model. Beside it there may be others, which are asked the same.

import { ask, events } from "../api.js";
import { h } from "../dom.js";
import { usd } from "../format.js";
import { answerPlace, asked, receipt, refusal, resultsForm } from "./answer.js";

/**
 * A conversation. settings(): the fields of a request beside model and messages. changed(): called
 * whenever it begins or ends an answer.
 */
export class Lane {
  constructor(number, settings, changed) {
    this.model = "";
    this.history = [];
    this.running = null;
    this.waits = false; // for the results of calls
    this._settings = settings;
    this._changed = changed;
    this._cost = 0;
    this._title = h("h2", { id: `lane-${number}` });
    this._phase = h("span", { class: "muted", role: "status" });
    this._turns = h("div", {
      class: "turns",
      tabindex: "0",
      role: "group",
      "aria-labelledby": `lane-${number}`,
    });
    const head = h("header", {}, this._title, this._phase);
    this.element = h(
      "section",
      { class: "card lane", "aria-labelledby": `lane-${number}` },
      head,
      this._turns,
    );
    this.clear();
  }

  /** Forgets the conversation. */
  clear() {
    this.stop();
    this.history = [];
    this.waits = false;
    this._cost = 0;
    this._phase.textContent = "";
    this._turns.replaceChildren(
      h("p", { class: "nothing" }, "The answer appears here as it is written."),
    );
  }

  /** Says whom it talks to. */
  name(model) {
    this.model = model;
    this._title.textContent = model || "auto";
  }

  stop() {
    this.running?.abort();
  }

  /** The request that these messages would make. */
  request(messages) {
    const { system, ...rest } = this._settings();
    const all = [...this.history, ...messages];
    const alone = all.length === 1 && typeof all[0].content === "string";
    const said = alone ? { prompt: all[0].content } : { messages: all };
    return { ...said, system, model: this.model || undefined, ...rest };
  }

  /** Says it, and shows what is answered; what fails is no part of the conversation. */
  async send(messages) {
    if (!this.history.length) this._turns.replaceChildren();
    for (const message of messages) this._turns.append(asked(message));
    await this._answer(messages);
  }

  async _answer(messages) {
    const mine = new AbortController();
    this.running = mine;
    this.waits = false;
    this._tell("Asking …");
    const { element, show } = answerPlace();
    this._turns.append(element);
    this._follow();
    const run = {
      began: performance.now(),
      first: null,
      text: "",
      reasoning: "",
      calls: new Map(),
    };
    try {
      const response = await ask(this.request(messages), mine.signal);
      const done = await this._read(response, run, show);
      run.took = performance.now() - run.began;
      this.history.push(...messages, reply(done, run));
      this._conclude(element, done, run);
    } catch (error) {
      this._fail(element, error, messages);
    } finally {
      element.setAttribute("aria-busy", "false");
      this.running = null;
      this._follow();
      this._changed();
    }
  }

  async _read(response, run, show) {
    const type = response.headers.get("content-type");
    if (!type?.startsWith("text/event-stream")) return whole(await response.json(), run, show);
    for await (const [event, data] of events(response)) {
      if (event === "done") return data;
      if (event === "error") throw broken(data);
      if (run.first === null) {
        run.first = performance.now() - run.began;
        this._tell("Writing …");
      }
      take(run, data);
      show(run);
      this._follow();
    }
    throw broken({
      error: { type: "stream_ended", message: "The stream ended without its last event." },
    });
  }

  _conclude(element, done, run) {
    element.append(receipt(done, run));
    this._cost += done.metadata.cost ?? 0;
    const calls = done.toolCalls ?? [];
    this.waits = calls.length > 0;
    if (this.waits) element.append(resultsForm(calls, (results) => this.send(results)));
    const several = this.history.filter(({ role }) => role === "assistant").length > 1;
    const total = several && this._cost ? `, ${usd(this._cost)} in all` : "";
    this._tell(this.waits ? "Waits for the result of a call" : `Done${total}`);
  }

  _fail(element, error, messages) {
    if (error.name === "AbortError") {
      this._tell("Stopped");
      element.append(h("p", { class: "muted" }, "Stopped: this is no part of the conversation."));
      return;
    }
    const again = () => {
      element.remove();
      this._answer(messages);
    };
    element.append(refusal(error, again));
    this._tell("Failed");
  }

  _tell(phase) {
    this._phase.textContent = phase;
    this._changed();
  }

  /** Keeps the newest in sight. */
  _follow() {
    this._turns.scrollTop = this._turns.scrollHeight;
  }
}

function broken({ error, metadata }) {
  return Object.assign(new Error(error.message), { type: error.type, metadata });
}

function take(run, data) {
  run.text += data.text ?? data.refusal ?? "";
  run.reasoning += data.reasoning ?? "";
  if (!data.toolCall) return;
  const { index, name: called = "", arguments: more = data.toolCall.input ?? "" } = data.toolCall;
  const call = run.calls.get(index) ?? { name: "", arguments: "" };
  run.calls.set(index, { name: call.name + called, arguments: call.arguments + more });
}

function whole(answer, run, show) {
  take(run, { text: answer.data || answer.refusal || "", reasoning: answer.reasoning });
  for (const [index, call] of (answer.toolCalls ?? []).entries())
    take(run, { toolCall: { index, ...(call.function ?? call.custom) } });
  show(run);
  return answer;
}

/** The answer as the next request has to give it back. */
function reply(done, run) {
  const calls = done.toolCalls?.length ? { tool_calls: done.toolCalls } : {};
  const thought = done.reasoningDetails ? { reasoning_details: done.reasoningDetails } : {};
  const content = run.text || (done.toolCalls?.length ? null : "(no text)");
  return { role: "assistant", content, ...calls, ...thought, ...done.extra };
}

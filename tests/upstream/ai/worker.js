// Behaves as env.AI of the Workers runtime does towards its caller, with the scripted upstream
// in the place of Cloudflare's inference service.
import { DurableObject, WorkerEntrypoint } from "cloudflare:workers";

export class AI extends WorkerEntrypoint {
  /**
   * JSON answers come back as an object, everything else as the body's stream. An upstream
   * error is thrown as InferenceUpstreamError with "<code>: <description>" for its message.
   */
  async run(model, inputs, options = {}) {
    const response = await fetch(`${this.env.UPSTREAM_URL}/workers-ai/run/${model}`, {
      method: "POST",
      headers: { ...options.extraHeaders, "content-type": "application/json" },
      body: JSON.stringify(inputs),
    });
    if (options.returnRawResponse) {
      return response;
    }
    if (!response.ok || !response.body) {
      throw await upstreamError(response);
    }
    if (response.headers.get("content-type") === "application/json") {
      return await response.json();
    }
    return response.body;
  }

  /** The models on offer. */
  async models() {
    const response = await fetch(`${this.env.UPSTREAM_URL}/workers-ai/run/`);
    if (!response.ok) {
      throw await upstreamError(response);
    }
    return await response.json();
  }
}

/** A tier of the cache that fails whatever it is asked. */
export class Throwing extends WorkerEntrypoint {
  async get() {
    throw new Error("the store is on fire");
  }
  async put() {
    throw new Error("the store is on fire");
  }
  async delete() {
    throw new Error("the store is on fire");
  }
}

/** A tier of the cache that takes its time. */
export class Mute extends WorkerEntrypoint {
  async get() {
    await scheduler.wait(5000);
    return null;
  }
  async put() {
    await scheduler.wait(5000);
  }
  async delete() {
    await scheduler.wait(5000);
  }
}

/** An object that never answers what the proxy's limiter and flights ask of it. */
export class Hanging extends DurableObject {
  async take() {
    await scheduler.wait(60_000);
  }
  async give_back() {
    await scheduler.wait(60_000);
  }
  async join() {
    await scheduler.wait(60_000);
  }
  async keep() {
    await scheduler.wait(60_000);
  }
  async read_context() {
    await scheduler.wait(60_000);
  }
  async find() {
    await scheduler.wait(60_000);
  }
  async delete() {
    await scheduler.wait(60_000);
  }
  async list_input() {
    await scheduler.wait(60_000);
  }
}

async function upstreamError(response) {
  const text = await response.text();
  const error = new Error(text);
  error.name = "InferenceUpstreamError";
  try {
    const { internalCode, description, name } = JSON.parse(text);
    error.message = `${internalCode}: ${description}`;
    error.name = name;
  } catch {
    // Not JSON: the text itself is the message.
  }
  return error;
}

export default {
  fetch() {
    return new Response("The stand-in for the AI binding is called over RPC only.\n", { status: 404 });
  },
};

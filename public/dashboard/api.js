// The proxy as this page asks it. The key is in this tab's sessionStorage and in a header, nowhere
// else: never in a URL, a cookie or a log.

const SLOT = "proxy-key";

/** Where the page itself came from. */
export const ORIGIN = location.origin;

/** The proxy's refusal, or the lack of any answer (status 0). `message` is for the reader. */
export class ApiError extends Error {
  constructor(status, type, message, metadata = {}) {
    super(message);
    this.status = status;
    this.type = type;
    this.metadata = metadata;
  }
}

export const key = {
  get: () => sessionStorage.getItem(SLOT),
  set: (value) => sessionStorage.setItem(SLOT, value),
  clear: () => sessionStorage.removeItem(SLOT),
};

/** What GET `path` answers. Raises ApiError, or AbortError when `signal` says stop. */
export async function get(path, params = {}, { signal, using = key.get() } = {}) {
  const query = new URLSearchParams(Object.entries(params).filter(([, value]) => value));
  const response = await send(query.size ? `${path}?${query}` : path, { signal }, using);
  return read(response);
}

/** The Response to POST of a native request. Raises as `get` does. */
export async function ask(body, signal) {
  const headers = { "content-type": "application/json" };
  const options = { method: "POST", headers, body: JSON.stringify(body), signal };
  const response = await send("/v1/generate", options, key.get());
  if (!response.ok) await read(response);
  return response;
}

/** The events of a stream as `[name, data]`, with the data parsed. */
export async function* events(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const blocks = (rest + value).split("\n\n");
    rest = blocks.pop();
    for (const block of blocks) {
      const field = (label) =>
        block
          .split("\n")
          .filter((line) => line.startsWith(`${label}:`))
          .map((line) => line.slice(label.length + 1).trimStart())
          .join("\n");
      const data = field("data");
      if (data) yield [field("event"), JSON.parse(data)];
    }
  }
}

async function send(path, options, using) {
  const headers = { ...options.headers, ...(using ? { authorization: `Bearer ${using}` } : {}) };
  try {
    return await fetch(path, { ...options, headers, cache: "no-store", credentials: "omit" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(
      0,
      "unreachable",
      "The proxy does not answer. Is it running, and are you online?",
    );
  }
}

async function read(response) {
  const body = await response.json().catch(() => null);
  if (response.ok && body !== null) return body;
  const told = body?.error ?? {};
  const message = told.message ?? `The proxy answered ${response.status} and no reason.`;
  const type = told.error_type ?? told.type ?? "unknown";
  throw new ApiError(response.status, type, message, body?.metadata);
}

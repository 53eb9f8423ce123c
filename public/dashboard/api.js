// The proxy as this page asks it. The key is in this tab's sessionStorage and in a header, nowhere
// else: never in a URL, a cookie or a log.

const SLOT = "proxy-key";

/** Where the page itself came from. */
export const ORIGIN = location.origin;

/** Cookies go along for who stands before the proxy (Cloudflare Access); the proxy reads none. */
const HOW = { cache: "no-store", credentials: "same-origin", redirect: "manual" };

/** The proxy's refusal, or the lack of any answer (status 0). `message` is for the reader. */
export class ApiError extends Error {
  constructor(status, type, message, { param = null, metadata = {} } = {}) {
    super(message);
    this.status = status;
    this.type = type;
    this.param = param; // the field that is wrong, where the proxy names one
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

/**
 * What `method` on `path` answers to a JSON body (none: null); null where the answer has no body.
 * headers: beside those of the body and the key.
 * Raises as `get` does.
 */
export async function change(method, path, body = null, { signal, headers } = {}) {
  const response = await post(path, body, { method, signal, headers });
  return response.status === 204 ? null : read(response);
}

/** The Response to POST of a JSON body, e.g. to read it as it streams. Raises as `get` does. */
export async function ask(body, signal, path = "/v1/generate") {
  const response = await post(path, body, { method: "POST", signal });
  if (!response.ok) await read(response);
  return response;
}

/** Saves what GET `path` answers as a file of the reader's. Raises as `get` does. */
export async function download(path, params, filename) {
  const response = await send(`${path}?${new URLSearchParams(params)}`, {}, key.get());
  if (!response.ok) await read(response);
  const link = document.createElement("a");
  link.href = URL.createObjectURL(await response.blob());
  link.download = filename;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

function post(path, body, options) {
  const type = body === null ? {} : { "content-type": "application/json" };
  const headers = { ...type, ...options.headers };
  const text = body === null ? undefined : JSON.stringify(body);
  return send(path, { ...options, headers, body: text }, key.get());
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
    const response = await fetch(path, { ...options, headers, ...HOW });
    if (response.type !== "opaqueredirect") return response;
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(
      0,
      "unreachable",
      "The proxy does not answer. Is it running, and are you online?",
    );
  }
  // Only who stands before the proxy redirects: to where a browser signs in.
  throw new ApiError(401, "signed_out", "Your sign-in has ended. Reload the page.");
}

async function read(response) {
  const body = await response.json().catch(() => null);
  if (response.ok && body !== null) return body;
  const told = body?.error ?? {};
  const message = told.message ?? `The proxy answered ${response.status} and no reason.`;
  const type = told.error_type ?? told.type ?? "unknown";
  const { param } = told;
  throw new ApiError(response.status, type, message, { param, metadata: body?.metadata });
}

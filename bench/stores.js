// KV and R2 in memory, in the form in which workerd's bindings speak to them over HTTP. They answer at
// once; Cloudflare's take milliseconds.

const KEPT = 5_000; // entries; the oldest go, as no bench reads them again
const NO_SUCH_KEY = { "cf-r2-error": '{"version":1,"v4code":10007,"message":"no such key"}' };

const pairs = new Map();
const objects = new Map();

function keep(entries, key, value) {
  entries.set(key, value);
  if (entries.size > KEPT) entries.delete(entries.keys().next().value);
}

export const KV = {
  async fetch(request) {
    const key = new URL(request.url).pathname;
    if (request.method === "PUT") keep(pairs, key, await request.arrayBuffer());
    else if (request.method === "DELETE") pairs.delete(key);
    else return new Response(pairs.get(key), { status: pairs.has(key) ? 200 : 404 });
    return new Response();
  },
};

function describe(key, size) {
  return JSON.stringify({ name: key, version: "1", size, etag: "1", uploaded: 0, checksums: {} });
}

function encode(metadata, value) {
  const size = new TextEncoder().encode(metadata).length;
  const body = new Blob([metadata, value]);
  return new Response(body, { headers: { "cf-r2-metadata-size": `${size}` } });
}

async function write(request) {
  const size = Number(request.headers.get("cf-r2-metadata-size"));
  const body = await request.arrayBuffer();
  const call = JSON.parse(new TextDecoder().decode(body.slice(0, size)));
  if (call.method === "delete") {
    for (const key of call.objects ?? [call.object]) objects.delete(key);
    return new Response();
  }
  keep(objects, call.object, body.slice(size));
  return encode(describe(call.object, body.byteLength - size), "");
}

function read(request) {
  const call = JSON.parse(request.headers.get("cf-r2-request"));
  if (call.method === "list") return encode('{"objects":[],"truncated":false,"delimitedPrefixes":[]}', "");
  const value = objects.get(call.object);
  if (!value) return new Response(null, { status: 404, headers: NO_SUCH_KEY });
  return encode(describe(call.object, value.byteLength), value);
}

export const R2 = {
  fetch(request) {
    return request.method === "PUT" ? write(request) : read(request);
  },
};

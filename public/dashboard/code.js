// A native request as a command line and as code of OpenAI's SDKs. The reader's key is not in it.

/** The languages on offer: each takes a native request and the proxy's origin. */
export const LANGUAGES = {
  curl: (body, origin, keyed) => {
    const lines = [`curl -s${body.stream ? "N" : ""} ${origin}/v1/generate`];
    if (keyed) lines.push(`-H "authorization: Bearer $PROXY_KEY"`);
    lines.push("-H 'content-type: application/json'", `-d ${quoted(JSON.stringify(body))}`);
    return lines.join(" \\\n  ");
  },
  Python: (body, origin, keyed) => {
    const { call, own } = asChat(body);
    const fields = Object.entries(call).map(([name, value]) => `    ${name}=${python(value)},`);
    if (Object.keys(own).length) fields.push(`    extra_body=${python(own)},  # the proxy's own`);
    return [
      ...(keyed ? ["import os", ""] : []),
      "from openai import OpenAI",
      "",
      `client = OpenAI(base_url="${origin}/v1", api_key=${keyed ? 'os.environ["PROXY_KEY"]' : '"unused"'})`,
      "answer = client.chat.completions.create(",
      ...fields,
      ")",
      ...(body.stream
        ? [
            "for chunk in answer:",
            "    if chunk.choices:",
            '        print(chunk.choices[0].delta.content or "", end="")',
          ]
        : ["print(answer.choices[0].message.content)"]),
    ].join("\n");
  },
  JavaScript: (body, origin, keyed) => {
    const { call, own } = asChat(body);
    const key = keyed ? "process.env.PROXY_KEY" : '"unused"';
    return [
      'import OpenAI from "openai";',
      "",
      `const client = new OpenAI({ baseURL: "${origin}/v1", apiKey: ${key} });`,
      `const answer = await client.chat.completions.create(${JSON.stringify({ ...call, ...own }, null, 2)});`,
      ...(body.stream
        ? [
            "for await (const chunk of answer) {",
            '  process.stdout.write(chunk.choices[0]?.delta?.content ?? "");',
            "}",
          ]
        : ["console.log(answer.choices[0].message.content);"]),
    ].join("\n");
  },
};

/** What brings the first request into the figures. */
export function firstCurl(origin, keyed) {
  return LANGUAGES.curl({ prompt: "What is the capital of France?", maxTokens: 40 }, origin, keyed);
}

/** How an operator issues a key. */
export function issueCurl(origin) {
  return [
    `curl -s ${origin}/admin/keys`,
    `-H "authorization: Bearer $ADMIN_TOKEN"`,
    "-H 'content-type: application/json'",
    `-d '{"user": "ann", "name": "dashboard"}'`,
  ].join(" \\\n  ");
}

/** A request without the bulk of its images, to be looked at. */
export function shorten(body) {
  const cut = (url) => `${url.slice(0, 40)}…`;
  const part = (its) =>
    its.image_url ? { ...its, image_url: { url: cut(its.image_url.url) } } : its;
  const message = (its) =>
    Array.isArray(its.content) ? { ...its, content: its.content.map(part) } : its;
  return body.messages ? { ...body, messages: body.messages.map(message) } : body;
}

/** A native request as OpenAI's fields and the proxy's own beside them. */
function asChat({ prompt, messages, system, model, stream, ...rest }) {
  const said = messages ?? [{ role: "user", content: prompt }];
  const all = system ? [{ role: "system", content: system }, ...said] : said;
  const call = { model: model ?? "auto", messages: all };
  for (const [name, theirs] of Object.entries(THEIRS)) {
    if (rest[name] !== undefined) call[theirs] = rest[name];
    delete rest[name];
  }
  if (stream) call.stream = true;
  return { call, own: rest };
}

/** Fields by OpenAI's names for them. */
const THEIRS = {
  temperature: "temperature",
  maxTokens: "max_tokens",
  topP: "top_p",
  tools: "tools",
  toolChoice: "tool_choice",
};

function quoted(text) {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

function python(value) {
  if (value === true) return "True";
  if (value === false) return "False";
  if (value === null) return "None";
  if (Array.isArray(value)) return `[${value.map(python).join(", ")}]`;
  if (typeof value === "object") {
    return `{${Object.entries(value)
      .map(([name, its]) => `${JSON.stringify(name)}: ${python(its)}`)
      .join(", ")}}`;
  }
  return JSON.stringify(value); // a JSON string is one of Python's
}

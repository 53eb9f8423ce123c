// node ai_sdk.mjs URL: Vercel's AI SDK in front of the proxy.
//
// Reads one JSON object a line: `sdk` (anthropic or openai), `model`, `scenario` and what that
// takes. Writes what the SDK has made of it as one line of JSON: `value`, or `error`.

import assert from "node:assert/strict";
import { createInterface } from "node:readline";

import { createAnthropic } from "@ai-sdk/anthropic";
import { createOpenAI } from "@ai-sdk/openai";
import {
  APICallError,
  generateObject,
  generateText,
  isStepCount,
  Output,
  streamText,
  tool,
} from "ai";
import { z } from "zod";

const settings = { baseURL: `${process.argv[2]}/v1`, apiKey: "unused" };
const SDKS = { anthropic: createAnthropic(settings), openai: createOpenAI(settings) };
const SECONDS = 30; // for which a scenario may last
const PLACE = z.object({ city: z.string() });
const IMAGE = "iVBORw0KGgo=";
globalThis.AI_SDK_LOG_WARNINGS = false; // stdout holds the results

const weather = tool({
  description: "The weather in a city.",
  inputSchema: PLACE,
  execute: async ({ city }) => `sunny in ${city}`,
});
const withTools = { tools: { weather }, stopWhen: isStepCount(3) };

/** What a whole answer holds, or a stream at its end. */
async function sum(result) {
  const steps = await result.steps;
  const usage = await result.usage;
  return {
    text: await result.text,
    reasoning: steps.map((step) => step.reasoningText ?? ""),
    finish: await result.finishReason,
    usage: [usage.inputTokens, usage.outputTokens],
    calls: steps.flatMap((step) => step.toolCalls.map(({ toolName, input }) => [toolName, input])),
    steps: steps.length,
  };
}

const generate = async (options) => sum(await generateText(options));

/** Streams, and sees that the pieces are the whole text. */
async function stream(options) {
  const result = streamText({ ...options, onError: () => {} });
  let text = "";
  for await (const part of result.stream) {
    if (part.type === "start-step") text = "";
    if (part.type === "text-delta") text += part.text;
    if (part.type === "error") throw part.error;
  }
  const whole = await sum(result);
  assert.equal(text, whole.text);
  return whole;
}

const RUN = { generate, stream };

const SCENARIOS = {
  text: (common, { way, prompt }) => RUN[way]({ ...common, instructions: "Be brief.", prompt }),

  tools: (common, { way, prompt }) => RUN[way]({ ...common, ...withTools, prompt }),

  reasoning: (common, { way, ...given }) =>
    RUN[way]({ ...common, ...withTools, reasoning: "high", ...given }),

  image: (common, { way, prompt }) => {
    const content = [
      { type: "text", text: prompt },
      { type: "image", image: IMAGE, mediaType: "image/png" },
    ];
    return RUN[way]({ ...common, messages: [{ role: "user", content }] });
  },

  output: async (common, { prompt }) => {
    const output = Output.object({ schema: PLACE });
    return (await generateText({ ...common, output, prompt })).output;
  },

  object: async (common, { prompt }) =>
    (await generateObject({ ...common, schema: PLACE, prompt })).object,

  partial: async (common, { prompt }) => {
    const result = streamText({ ...common, output: Output.object({ schema: PLACE }), prompt });
    let last;
    for await (const partial of result.partialOutputStream) last = partial;
    return last;
  },

  turns: async (common, { way, prompt, next, ...given }) => {
    const messages = [{ role: "user", content: prompt }];
    const options = { ...common, ...withTools, ...given };
    const first = await generateText({ ...options, messages });
    messages.push(...first.response.messages, { role: "user", content: next });
    return RUN[way]({ ...options, messages });
  },
};

/** What an error of the SDK says. */
function describe(error) {
  const { name, message, statusCode, isRetryable, data } = error;
  return APICallError.isInstance(error)
    ? { name, message, statusCode, isRetryable, data }
    : { name, message: message ?? JSON.stringify(error) };
}

for await (const line of createInterface({ input: process.stdin })) {
  const { sdk, model, scenario, ...given } = JSON.parse(line);
  const common = {
    model: SDKS[sdk](model),
    maxRetries: 0,
    abortSignal: AbortSignal.timeout(SECONDS * 1000),
  };
  let result;
  try {
    result = { value: await SCENARIOS[scenario](common, given) };
  } catch (error) {
    result = { error: describe(error) };
  }
  process.stdout.write(`${JSON.stringify(result)}\n`);
}

"""Vendors of models of their own, in OpenAI's dialect: each says only where it differs."""

from collections.abc import Iterator
from typing import Any, ClassVar, Literal

from .behaviour import Behaviour
from .model import Answer
from .openai_checks import Rules
from .openai_provider import OpenAi, Stream, plain_usage
from .reply import RejectedError, Reply, json_reply
from .request import Json, Request


def list_models() -> Reply:
    """A list of one model."""
    return json_reply({"object": "list", "data": [{"id": "m", "object": "model"}]}, {})


class Vendor(OpenAi):
    """What they share: the reasoning is told, and the list of models is of one model."""

    rules: ClassVar[Rules] = Rules(extra="reasoning_effort max_completion_tokens")
    headers: ClassVar[dict[str, str]] = {"x-request-id": "req_upstream"}
    embeds: ClassVar[bool] = False
    responds: ClassVar[bool] = False
    reasoning_key: ClassVar[str | None] = "reasoning_content"
    null_usage: ClassVar[Literal["never", "asked", "always"]] = "never"

    def models(self) -> Reply:
        return list_models()

    def usage(self, answer: Answer) -> Json:
        return plain_usage(answer)

    def extra(self) -> Json:
        return {}


class Mistral(Vendor):
    """Unknown fields are refused, reasoning is a part of the content, a call comes whole in the
    chunk that ends the stream."""

    name: ClassVar[str] = "mistral"
    prefix: ClassVar[str] = "/mistral/v1"
    key: ClassVar[str | None] = "test-mistral-key"
    rules: ClassVar[Rules] = Rules(
        extra="random_seed safe_prompt prompt_mode prompt_cache_key metadata reasoning_effort",
        without="stream_options seed user logit_bias logprobs top_logprobs",
        strict=True,
        unknown_status=422,
        unknown_message="{}: Extra inputs are not permitted",
        roles="system user assistant tool",
        message_fields="role content tool_calls tool_call_id prefix",
        efforts="none high",
        id_exact=9,
        in_turns=True,
        prefill="prefix",
    )
    embeds: ClassVar[bool] = True

    def message(self, answer: Answer) -> Json:
        calls = self.calls(answer) or None
        thought = self.reasoning(answer.reasoning).get("content", [])
        parts = [*thought, {"type": "text", "text": answer.text}]
        content = parts if thought else answer.text
        return {"role": "assistant", "tool_calls": calls, "content": content}

    def reasoning(self, text: str) -> Json:
        said = [{"type": "text", "text": text}]
        return {"content": [{"type": "thinking", "thinking": said}]} if text else {}

    def stream(self, stream: Stream) -> Iterator[str]:
        answer = stream.answer
        yield stream.chunk({"role": "assistant", "content": ""})
        if answer.reasoning:
            yield stream.chunk(self.reasoning(answer.reasoning))
        for piece in answer.pieces:
            yield stream.chunk({"content": piece})
        calls = [call | {"index": index} for index, call in enumerate(self.calls(answer))]
        last: Json = {"tool_calls": calls} if calls else {"content": ""}
        usage = {"usage": self.usage(answer)} if answer.counted else {}
        yield stream.chunk(last, answer.finish, **usage)

    def call_id(self, number: int, name: str) -> str:
        return f"c{next(self._ids):07d}{number}"

    def error(self, rejected: RejectedError) -> Reply:
        if rejected.status == 422:
            fault = {"type": "extra_forbidden", "loc": ["body"], "msg": rejected.message}
            return json_reply({"detail": [fault]}, self.headers, 422)
        if rejected.status == 401:
            return json_reply({"message": "Unauthorized", "request_id": "r1"}, self.headers, 401)
        if rejected.code == "model_not_found":
            rejected = RejectedError(400, "Invalid model: none", "1500")
        return super().error(rejected)

    def error_body(self, rejected: RejectedError) -> Json:
        kind = {"1500": "invalid_model"}.get(rejected.code or "", "invalid_request_error")
        error = {"message": rejected.message, "type": kind, "param": None, "code": rejected.code}
        return {"object": "error"} | error


class Xai(Vendor):
    """Reasoning is counted beside the answer, and the cost is told in ticks."""

    name: ClassVar[str] = "xai"
    prefix: ClassVar[str] = "/xai/v1"
    key: ClassVar[str | None] = "test-xai-key"
    rules: ClassVar[Rules] = Rules(
        extra="reasoning_effort max_completion_tokens deferred",
        refused="logit_bias presence_penalty frequency_penalty",
    )
    responds: ClassVar[bool] = True
    efforts: ClassVar[dict[str, str]] = {
        "grok-4.7": "low medium high xhigh",
        "grok-4.6": "low medium high",
        "grok-4.5": "low medium high",
        "grok-4.3": "none low medium high",
    }

    def answer(self, request: Request, body: Any, behaviour: Behaviour) -> Reply:
        if (request.method, request.path) == ("GET", f"{self.prefix}/api-key"):
            return json_reply({"redacted_api_key": "xai-...1", "api_key_disabled": False}, {})
        if request.path.endswith("/responses") and "metadata" in body:
            raise RejectedError(400, "Argument not supported: metadata")
        return super().answer(request, body, behaviour)

    def check(self, body: Json) -> None:
        model, effort = body["model"], body.get("reasoning_effort")
        efforts = next((e for m, e in self.efforts.items() if model.startswith(m)), "")
        if effort is not None and effort not in efforts.split():
            raise RejectedError(400, f"Model {model} does not support parameter reasoningEffort.")
        if "stop" in body and "non-reasoning" not in model:
            raise RejectedError(400, "Argument not supported on this model: stop")

    def usage(self, answer: Answer) -> Json:
        written, thought = answer.answer_tokens, answer.reasoning_tokens
        return {
            "prompt_tokens": answer.input_tokens,
            "completion_tokens": written,
            "total_tokens": answer.input_tokens + written + thought,
            "prompt_tokens_details": {"text_tokens": answer.input_tokens, "cached_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": thought},
            "num_sources_used": 0,
            "cost_in_usd_ticks": 10_000 * (answer.input_tokens + written + thought),
        }

    def error(self, rejected: RejectedError) -> Reply:
        body = {"code": rejected.code or "Client specified an argument", "error": rejected.message}
        return json_reply(body, self.headers, rejected.status)


class Moonshot(Vendor):
    """Sampling is not the caller's, a call wants its reasoning back, usage stands in a choice."""

    name: ClassVar[str] = "moonshot"
    prefix: ClassVar[str] = "/moonshot/v1"
    key: ClassVar[str | None] = "test-moonshot-key"
    rules: ClassVar[Rules] = Rules(
        extra="reasoning_effort max_completion_tokens prompt_cache_key thinking",
        roles="system user assistant tool",
        efforts="low high max",
        prefill="partial",
    )
    speaks_messages: ClassVar[bool] = True

    def check(self, body: Json) -> None:
        if body.get("temperature", 1) != 1:
            raise RejectedError(400, "invalid temperature: only 1 is allowed for this model")
        for index, message in enumerate(body["messages"]):
            if message.get("tool_calls") and not message.get("reasoning_content"):
                text = "thinking is enabled but reasoning_content is missing in assistant tool call"
                raise RejectedError(400, f"{text} message at index {index}")

    def stream(self, stream: Stream) -> Iterator[str]:
        yield stream.chunk({"role": "assistant", "content": ""})
        yield from stream.content()
        usage = self.usage(stream.answer)
        choice: Json = {"index": 0, "delta": {}, "finish_reason": stream.answer.finish}
        yield stream.event([choice | ({"usage": usage} if stream.answer.counted else {})])

    def error_body(self, rejected: RejectedError) -> Json:
        return {"error": {"message": rejected.message, "type": "invalid_request_error"}}


class Zai(Vendor):
    """Codes of its own, and a JSON schema at its newest models only."""

    name: ClassVar[str] = "zai"
    prefix: ClassVar[str] = "/zai/api/paas/v4"
    key: ClassVar[str | None] = "test-zai-key"
    rules: ClassVar[Rules] = Rules(
        extra="reasoning_effort thinking do_sample tool_stream user_id request_id",
        roles="system user assistant tool",
        refused="seed logit_bias logprobs frequency_penalty presence_penalty",
        efforts="low high max",
    )
    speaks_messages: ClassVar[bool] = True

    def check(self, body: Json) -> None:
        wants = (body.get("response_format") or {}).get("type") == "json_schema"
        if wants and not body["model"].startswith("glm-5.3"):
            raise RejectedError(400, "Invalid API parameter: response_format")

    def error_body(self, rejected: RejectedError) -> Json:
        code = {401: "1000", 404: "1211", 429: "1302"}.get(rejected.status, "1210")
        return {"error": {"code": code, "message": rejected.message}}


class Perplexity(Vendor):
    """Each chunk has the usage so far with its cost, and what was found; reasoning stands in the
    text; chat has no tools."""

    name: ClassVar[str] = "perplexity"
    prefix: ClassVar[str] = "/perplexity"
    key: ClassVar[str | None] = "test-perplexity-key"
    rules: ClassVar[Rules] = Rules(
        extra="reasoning_effort web_search_options search_domain_filter search_mode",
        roles="system user assistant",
        refused="stream_options tools tool_choice",
        efforts="minimal low medium high",
    )
    responds: ClassVar[bool] = True

    def answer(self, request: Request, body: Any, behaviour: Behaviour) -> Reply:
        if (request.method, request.path) == ("GET", f"{self.prefix}/async/chat/completions"):
            return json_reply({"requests": []}, {})
        return super().answer(request, body, behaviour)

    def usage(self, answer: Answer) -> Json:
        cost = {"input_tokens_cost": 0.0, "output_tokens_cost": 0.0, "request_cost": 0.005}
        told = {"search_context_size": "low", "cost": cost | {"total_cost": 0.005}}
        return plain_usage(answer) | told

    def message(self, answer: Answer) -> Json:
        thought = self.reasoning(answer.reasoning).get("content", "")
        return {"role": "assistant", "content": f"{thought}{answer.text}"}

    def reasoning(self, text: str) -> Json:
        return {"content": f"<think>{text}</think>\n"} if text else {}

    def extra(self) -> Json:
        found = {"title": "A page", "url": "https://page.test/1", "date": None}
        return {"citations": [found["url"]], "search_results": [found]}

    def stream(self, stream: Stream) -> Iterator[str]:
        usage: Json = {"usage": self.usage(stream.answer)} if stream.answer.counted else {}
        thought = self.reasoning(stream.answer.reasoning).get("content", "")
        for piece in filter(None, (thought, *stream.answer.pieces)):
            yield stream.chunk({"role": "assistant", "content": piece}, **usage)
        last = {"role": "assistant", "content": ""}
        done = usage | {"object": "chat.completion.done"}
        yield stream.chunk(last, stream.answer.finish, **done)

"""The other providers of OpenAI's dialect: each says only where it differs."""

from collections.abc import Iterator
from typing import Any, ClassVar, Literal

from .behaviour import Behaviour
from .model import Answer
from .openai_checks import Rules
from .openai_provider import OpenAi, Stream, error_type, plain_usage
from .reply import RejectedError, Reply, data, json_reply
from .request import Json, Request


class DeepSeek(OpenAi):
    """Images at its flash model only, no JSON schema; the usage is on the finish chunk whether
    asked for or not."""

    name: ClassVar[str] = "deepseek"
    prefix: ClassVar[str] = "/deepseek"
    key: ClassVar[str | None] = "test-deepseek-key"
    rules: ClassVar[Rules] = Rules(
        extra="thinking reasoning_effort",
        roles="system user assistant tool",
        parts="text image_url",
        json_word=True,
    )
    speaks_messages: ClassVar[bool] = True
    headers: ClassVar[dict[str, str]] = {"server": "elb", "x-ds-trace-id": "0123456789abcdef"}
    embeds: ClassVar[bool] = False
    reasoning_key: ClassVar[str | None] = "reasoning_content"
    null_usage: ClassVar[Literal["never", "asked", "always"]] = "always"

    def check(self, body: Json) -> None:
        if "flash" not in body["model"] and "image_url" in str(body["messages"]):
            raise RejectedError(400, "unknown variant `image_url`, expected `text`")
        if (body.get("response_format") or {}).get("type") == "json_schema":
            raise RejectedError(400, "This response_format type is unavailable now")
        if "stream_options" in body and not body.get("stream"):
            raise RejectedError(400, "stream_options should be set along with stream = true")
        forced = body.get("tool_choice") not in (None, "auto", "none")
        if forced and (body.get("thinking") or {}).get("type") == "enabled":
            raise RejectedError(
                400, "A forced tool_choice is not supported while thinking is enabled"
            )

    def usage(self, answer: Answer) -> Json:
        usage = plain_usage(answer)
        usage["prompt_tokens_details"] = {"cached_tokens": 0}
        if answer.reasoning_tokens:
            usage["completion_tokens_details"] = {"reasoning_tokens": answer.reasoning_tokens}
        misses = {"prompt_cache_miss_tokens": answer.input_tokens}
        return usage | {"prompt_cache_hit_tokens": 0} | misses

    def message(self, answer: Answer) -> Json:
        message: Json = {"role": "assistant", "content": answer.text} | self.reasoning(
            answer.reasoning
        )
        calls = [{"index": i} | call for i, call in enumerate(self.calls(answer))]
        return message | ({"tool_calls": calls} if calls else {})

    def stream(self, stream: Stream) -> Iterator[str]:
        yield stream.chunk({"role": "assistant", "content": ""})
        yield from stream.content()
        usage = self.usage(stream.answer) if stream.answer.counted else None
        yield stream.chunk({"content": ""}, stream.answer.finish, usage=usage)

    def extra(self) -> Json:
        return {"system_fingerprint": "fp_upstream_prod"}

    def call_id(self, number: int, name: str) -> str:
        return f"call_{number:02d}_{next(self._ids):020d}"

    def error(self, rejected: RejectedError) -> Reply:
        if rejected.status == 404 and rejected.code == "model_not_found":
            rejected = RejectedError(400, rejected.message)
        return super().error(rejected)

    def error_body(self, rejected: RejectedError) -> Json:
        kind = "authentication_error" if rejected.status == 401 else error_type(rejected.status)
        code = "invalid_request_error"
        error = {"message": rejected.message, "type": kind, "param": None, "code": code}
        return {"error": error}


class Groq(OpenAi):
    """Unknown fields are refused; the usage comes up to three times in a stream."""

    name: ClassVar[str] = "groq"
    prefix: ClassVar[str] = "/groq/openai/v1"
    key: ClassVar[str | None] = "test-groq-key"
    rules: ClassVar[Rules] = Rules(
        extra=(
            "max_completion_tokens reasoning_effort reasoning_format include_reasoning"
            " service_tier metadata store search_settings documents citation_options"
            " compound_custom disable_tool_validation functions function_call"
        ),
        strict=True,
        unknown_message="property '{}' is unsupported",
        json_word=True,
    )
    headers: ClassVar[dict[str, str]] = {
        "x-ratelimit-limit-requests": "14400",
        "x-ratelimit-limit-tokens": "30000",
        "x-ratelimit-remaining-requests": "14399",
        "x-ratelimit-remaining-tokens": "29970",
        "x-ratelimit-reset-requests": "6s",
        "x-ratelimit-reset-tokens": "60ms",
        "x-request-id": "req_upstream",
    }
    embeds: ClassVar[bool] = False
    reasoning_key: ClassVar[str | None] = "reasoning"
    null_usage: ClassVar[Literal["never", "asked", "always"]] = "never"

    def usage(self, answer: Answer) -> Json:
        usage = {"queue_time": 0.05, "prompt_time": 0.01, "completion_time": 0.02}
        usage |= plain_usage(answer) | {"total_time": 0.03}
        if answer.reasoning_tokens:
            return usage | {
                "completion_tokens_details": {"reasoning_tokens": answer.reasoning_tokens}
            }
        return usage

    def message(self, answer: Answer) -> Json:
        message: Json = {"role": "assistant"} | self.reasoning(answer.reasoning)
        if answer.calls:
            return message | {"tool_calls": self.calls(answer)}
        return message | {"content": answer.text}

    def completion(self, model: str, answer: Answer) -> Json:
        return super().completion(model, answer) | {"x_groq": {"id": "req_upstream", "seed": 1}}

    def stream(self, stream: Stream) -> Iterator[str]:
        mark: Json = {"id": "req_upstream"}
        content = None if stream.answer.calls else ""
        yield stream.chunk({"role": "assistant", "content": content}, x_groq=mark | {"seed": 1})
        yield from stream.content()
        if not stream.answer.counted:
            yield stream.chunk({}, stream.answer.finish)
            return
        usage = self.usage(stream.answer)
        also = {"usage": usage} if stream.usage else {}
        yield stream.chunk({}, stream.answer.finish, x_groq=mark | {"usage": usage}, **also)
        if stream.usage:
            yield stream.usage_chunk(service_tier="on_demand")

    def extra(self) -> Json:
        return {"system_fingerprint": "fp_upstream"}

    def call_id(self, number: int, name: str) -> str:
        return f"{next(self._ids):08d}{number}"

    def error_body(self, rejected: RejectedError) -> Json:
        error = super().error_body(rejected)["error"]
        if rejected.status == 429:
            error["type"] = "tokens"
        return {"error": {key: value for key, value in error.items() if value is not None}}

    def stream_error(self) -> list[str]:
        error = self.error_body(
            RejectedError(400, "The model did not call a tool", "tool_use_failed")
        )
        error["error"] |= {"failed_generation": "", "status_code": 400}
        return [f"event: error\n{data(error)}"]


class OpenRouter(OpenAi):
    """Says who served, what it cost, and keeps the line open with comments."""

    name: ClassVar[str] = "openrouter"
    prefix: ClassVar[str] = "/openrouter/api/v1"
    key: ClassVar[str | None] = "test-openrouter-key"
    rules: ClassVar[Rules] = Rules(
        extra=(
            "max_completion_tokens reasoning reasoning_effort include_reasoning provider models"
            " route plugins transforms usage top_k top_a min_p repetition_penalty prediction"
            " verbosity web_search_options metadata"
        ),
        custom_tools=True,
    )
    speaks_messages: ClassVar[bool] = True
    headers: ClassVar[dict[str, str]] = {
        "access-control-allow-origin": "*",
        "x-generation-id": "gen-1790000000-upstream",
    }
    reasoning_key: ClassVar[str | None] = "reasoning"
    null_usage: ClassVar[Literal["never", "asked", "always"]] = "never"

    def authorise(self, request: Request) -> None:
        """The list of models is public."""
        if not request.path.endswith("/models"):
            super().authorise(request)

    def answer(self, request: Request, body: Any, behaviour: Behaviour) -> Reply:
        """GET /key tells of the key itself, which is what a check of it asks for."""
        if (request.method, request.path) == ("GET", f"{self.prefix}/key"):
            return json_reply({"data": {"label": "sk-or-v1-aaa...bbb", "usage": 0.25}}, {})
        return super().answer(request, body, behaviour)

    def reasoning(self, text: str) -> Json:
        detail = {"type": "reasoning.text", "text": text, "format": "unknown", "index": 0}
        return {"reasoning": text, "reasoning_details": [detail]} if text else {}

    def usage(self, answer: Answer) -> Json:
        usage = super().usage(answer)
        prompt = answer.input_tokens / 1_000_000
        completion = usage["completion_tokens"] * 5 / 1_000_000
        cost = round(prompt + completion, 9)
        details = {
            "upstream_inference_cost": cost,
            "upstream_inference_prompt_cost": prompt,
            "upstream_inference_completions_cost": completion,
        }
        return usage | {"cost": cost, "is_byok": False, "cost_details": details}

    def stream(self, stream: Stream) -> Iterator[str]:
        yield from [": OPENROUTER PROCESSING\n\n"] * 2
        yield stream.chunk({"role": "assistant", "content": ""})
        yield from stream.content()
        last = {"role": "assistant", "content": ""}
        yield stream.chunk(last, stream.answer.finish)
        if stream.answer.counted:
            yield stream.chunk(last, usage=self.usage(stream.answer))

    def new_id(self) -> str:
        return f"gen-1790000000-{next(self._ids):020d}"

    def call_id(self, number: int, name: str) -> str:
        return f"toolu_{next(self._ids):022d}{number:02d}"

    def extra(self) -> Json:
        return {"provider": "Upstream"}

    def choice_extra(self, finish: str | None) -> Json:
        native = {"stop": "end_turn", "tool_calls": "tool_use"}
        return {"native_finish_reason": native.get(finish, finish) if finish else None}

    def error_body(self, rejected: RejectedError) -> Json:
        error = {"message": rejected.message, "code": rejected.status}
        return {"error": error, "user_id": "user_upstream"}

    def stream_error(self) -> list[str]:
        choice = {"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}
        error = {"code": 502, "message": "Provider disconnected"}
        return [
            data({"id": self.new_id(), "error": error, "choices": [choice]}),
            "data: [DONE]\n\n",
        ]


class HuggingFace(OpenAi):
    """The router: plain OpenAI chunks, usage only where asked for, errors as a string."""

    name: ClassVar[str] = "huggingface"
    prefix: ClassVar[str] = "/huggingface/v1"
    key: ClassVar[str | None] = "test-huggingface-key"
    rules: ClassVar[Rules] = Rules(extra="reasoning_effort max_completion_tokens tool_prompt")
    headers: ClassVar[dict[str, str]] = {"x-powered-by": "huggingface-moon"}
    reasoning_key: ClassVar[str | None] = "reasoning_content"
    null_usage: ClassVar[Literal["never", "asked", "always"]] = "never"

    def usage(self, answer: Answer) -> Json:
        return plain_usage(answer)

    def extra(self) -> Json:
        return {"system_fingerprint": ""}

    def call_id(self, number: int, name: str) -> str:
        return f"functions.{name}:{number}"

    def error(self, rejected: RejectedError) -> Reply:
        if rejected.status == 422:
            return Reply(422, {"content-type": "text/plain"}, [rejected.message.encode()])
        return json_reply({"error": rejected.message}, self.headers, rejected.status)


class Local(OpenAi):
    """llama.cpp's server: no key, timings beside the usage."""

    name: ClassVar[str] = "local"
    prefix: ClassVar[str] = "/local/v1"
    key: ClassVar[str | None] = None
    rules: ClassVar[Rules] = Rules(
        extra=(
            "max_completion_tokens top_k min_p repeat_penalty grammar json_schema cache_prompt"
            " chat_template_kwargs reasoning_format timings_per_token n_predict"
        )
    )
    headers: ClassVar[dict[str, str]] = {"server": "llama.cpp"}
    reasoning_key: ClassVar[str | None] = "reasoning_content"
    null_usage: ClassVar[Literal["never", "asked", "always"]] = "never"

    def usage(self, answer: Answer) -> Json:
        return plain_usage(answer)

    def completion(self, model: str, answer: Answer) -> Json:
        return super().completion(model, answer) | {"timings": _timings(answer)}

    def stream(self, stream: Stream) -> Iterator[str]:
        timings = _timings(stream.answer)
        yield stream.chunk({"role": "assistant", "content": None})
        yield from stream.content()
        if stream.usage and stream.answer.counted:
            yield stream.chunk({}, stream.answer.finish)
            yield stream.usage_chunk(timings=timings)
        else:
            yield stream.chunk({}, stream.answer.finish, timings=timings)

    def extra(self) -> Json:
        return {"system_fingerprint": "b6700-upstream"}

    def call_id(self, number: int, name: str) -> str:
        return f"{next(self._ids):030d}{number:02d}"

    def error_body(self, rejected: RejectedError) -> Json:
        kinds = {401: "authentication_error", 404: "not_found_error", 503: "unavailable_error"}
        kind = kinds.get(rejected.status, error_type(rejected.status))
        return {"error": {"code": rejected.status, "message": rejected.message, "type": kind}}


def _timings(answer: Answer) -> Json:
    """Ten ms for each token read and twenty for each one written."""
    written = answer.answer_tokens + answer.reasoning_tokens
    return {
        "cache_n": 0,
        "prompt_n": answer.input_tokens,
        "prompt_ms": 10.0 * answer.input_tokens,
        "predicted_n": written,
        "predicted_ms": 20.0 * written,
    }

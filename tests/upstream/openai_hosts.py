"""Hosts of many vendors' models, clouds and servers of one's own, in OpenAI's dialect: each says
only where it differs."""

from collections.abc import Iterator
from dataclasses import replace
from typing import ClassVar

from .model import Answer
from .openai_checks import Rules
from .openai_family import Local
from .openai_provider import OpenAi, Stream, plain_usage
from .openai_vendors import Vendor, list_models
from .reply import RejectedError, Reply, data, json_reply
from .request import Json, Request


class Cerebras(Vendor):
    """Errors without an object of their own, chunks without a finish reason until the last."""

    name: ClassVar[str] = "cerebras"
    prefix: ClassVar[str] = "/cerebras/v1"
    key: ClassVar[str | None] = "test-cerebras-key"
    rules: ClassVar[Rules] = Rules(
        extra="reasoning_effort max_completion_tokens clear_thinking",
        roles="system user assistant tool",
        refused="store metadata logit_bias",
        efforts="low medium high",
    )
    reasoning_key: ClassVar[str | None] = "reasoning"

    def stream(self, stream: Stream) -> Iterator[str]:
        for event in super().stream(stream):
            yield event.replace(',"logprobs":null,"finish_reason":null', "")

    def extra(self) -> Json:
        return {"system_fingerprint": "fp_upstream"}

    def call_id(self, number: int, name: str) -> str:
        return f"{next(self._ids):08x}{number}"

    def error_body(self, rejected: RejectedError) -> Json:
        error: Json = super().error_body(rejected)["error"]
        return error


class Together(Vendor):
    """Cached tokens beside the others, and an end of its own."""

    name: ClassVar[str] = "together"
    prefix: ClassVar[str] = "/together/v1"
    key: ClassVar[str | None] = "test-together-key"
    rules: ClassVar[Rules] = Rules(
        extra="reasoning_effort reasoning repetition_penalty top_k min_p safety_model",
        efforts="low medium high",
        roles="system user assistant tool",
    )
    embeds: ClassVar[bool] = True
    reasoning_key: ClassVar[str | None] = "reasoning"

    def usage(self, answer: Answer) -> Json:
        return plain_usage(answer) | {"cached_tokens": 0}

    def completion(self, model: str, answer: Answer) -> Json:
        finish = "eos" if answer.finish == "stop" else answer.finish
        return super().completion(model, replace(answer, finish=finish)) | {"prompt": []}


class Fireworks(Vendor):
    """It refuses each field that it does not know, those of messages too."""

    name: ClassVar[str] = "fireworks"
    prefix: ClassVar[str] = "/fireworks/inference/v1"
    key: ClassVar[str | None] = "test-fireworks-key"
    rules: ClassVar[Rules] = Rules(
        extra="reasoning_effort max_completion_tokens prompt_cache_key service_tier thinking",
        strict=True,
        unknown_message="Extra inputs are not permitted, field: '{}'",
        roles="system user assistant tool",
        message_fields="role content tool_calls tool_call_id reasoning_content",
    )
    embeds: ClassVar[bool] = True
    responds: ClassVar[bool] = True
    speaks_messages: ClassVar[bool] = True
    null_usage = "always"


class DeepInfra(Vendor):
    """A tool's result is a string; the cost is an estimate in the usage."""

    name: ClassVar[str] = "deepinfra"
    prefix: ClassVar[str] = "/deepinfra/v1/openai"
    key: ClassVar[str | None] = "test-deepinfra-key"
    rules: ClassVar[Rules] = Rules(
        extra="reasoning_effort repetition_penalty top_k min_p",
        roles="system user assistant tool",
        plain_tools=True,
    )
    embeds: ClassVar[bool] = True
    speaks_messages: ClassVar[bool] = True

    def usage(self, answer: Answer) -> Json:
        usage = plain_usage(answer)
        return usage | {"prompt_tokens_details": None, "estimated_cost": 1e-6}

    def error(self, rejected: RejectedError) -> Reply:
        body = {"detail": {"error": rejected.message}}
        return json_reply(body, self.headers, rejected.status)


class Nvidia(Vendor):
    """NIM: errors as RFC 7807 has them."""

    name: ClassVar[str] = "nvidia"
    prefix: ClassVar[str] = "/nvidia/v1"
    key: ClassVar[str | None] = "test-nvidia-key"
    rules: ClassVar[Rules] = Rules(
        extra="reasoning_effort chat_template_kwargs nvext top_k",
        roles="system user assistant tool",
        strict=True,
        unknown_message="Unsupported parameter(s): `{}`",
        efforts="low medium high",
    )
    embeds: ClassVar[bool] = True

    def error(self, rejected: RejectedError) -> Reply:
        status = rejected.status
        body = {"status": status, "title": "Refused", "detail": rejected.message}
        return json_reply({"type": "about:blank"} | body, self.headers, status)


class Azure(OpenAi):
    """OpenAI's own models with a key in a header of its own and filters of content."""

    name: ClassVar[str] = "azure"
    prefix: ClassVar[str] = "/azure/openai/v1"
    key: ClassVar[str | None] = "test-azure-key"
    headers: ClassVar[dict[str, str]] = {"apim-request-id": "r1", "x-ms-region": "Sweden Central"}

    def authorise(self, request: Request) -> None:
        if request.headers.get("api-key") != self.key:
            text = "Access denied due to invalid subscription key or wrong API endpoint."
            raise RejectedError(401, text, "401")

    def models(self) -> Reply:
        return list_models()

    def stream(self, stream: Stream) -> Iterator[str]:
        filtered = [{"prompt_index": 0, "content_filter_results": {}}]
        yield data({"choices": [], "id": "", "object": "", "prompt_filter_results": filtered})
        yield from super().stream(stream)

    def choice_extra(self, finish: str | None) -> Json:
        return {"content_filter_results": {}}


class Vertex(Vendor):
    """Google's errors, in a list."""

    name: ClassVar[str] = "vertex"
    prefix: ClassVar[str] = "/vertex/v1/projects/p1/locations/global/endpoints/openapi"
    key: ClassVar[str | None] = "test-vertex-key"
    rules: ClassVar[Rules] = Rules(
        extra="reasoning_effort max_completion_tokens extra_body google",
        efforts="none low medium high",
        roles="system user assistant tool",
    )
    reasoning_key: ClassVar[str | None] = None

    def error(self, rejected: RejectedError) -> Reply:
        words = {401: "UNAUTHENTICATED", 404: "NOT_FOUND", 429: "RESOURCE_EXHAUSTED"}
        status = rejected.status
        error = {"code": status, "message": rejected.message}
        error["status"] = words.get(status, "INVALID_ARGUMENT")
        return json_reply([{"error": error}], self.headers, status)


class Bedrock(Vendor):
    """Reasoning stands between tags at the beginning of the text."""

    name: ClassVar[str] = "bedrock"
    prefix: ClassVar[str] = "/bedrock/openai/v1"
    key: ClassVar[str | None] = "test-bedrock-key"
    rules: ClassVar[Rules] = Rules(
        extra="reasoning_effort max_completion_tokens prompt_cache_key service_tier", id_length=40
    )
    responds: ClassVar[bool] = True
    reasoning_key: ClassVar[str | None] = "content"

    def message(self, answer: Answer) -> Json:
        message = super().message(answer)
        thought = self.reasoning(answer.reasoning).get("content", "")
        return message | {"content": f"{thought}{answer.text}" or None}

    def reasoning(self, text: str) -> Json:
        return {"content": f"<reasoning>{text}</reasoning>"} if text else {}

    def stream(self, stream: Stream) -> Iterator[str]:
        answer = stream.answer
        yield stream.chunk({"role": "assistant", "content": ""})
        if answer.reasoning:
            for piece in ("<reason", f"ing>{answer.reasoning}</rea", "soning>"):
                yield stream.chunk({"content": piece})
        for piece in answer.pieces:
            yield stream.chunk({"content": piece})
        yield from stream.calls()
        yield stream.chunk({}, answer.finish)
        if stream.usage and answer.counted:
            yield stream.usage_chunk()


class Server(Local):
    """One of one's own, beside the first."""

    def models(self) -> Reply:
        return list_models()


class Ollama(Server):
    """Images by their data alone, and no key."""

    name: ClassVar[str] = "ollama"
    prefix: ClassVar[str] = "/ollama/v1"
    rules: ClassVar[Rules] = Rules(
        extra="reasoning_effort",
        roles="system user assistant tool",
        refused="logit_bias tool_choice",
        efforts="none low medium high",
    )
    headers: ClassVar[dict[str, str]] = {}
    reasoning_key: ClassVar[str | None] = "reasoning"


class Vllm(Server):
    """A server that was started with a key."""

    name: ClassVar[str] = "vllm"
    prefix: ClassVar[str] = "/vllm/v1"
    key: ClassVar[str | None] = "test-vllm-key"
    rules: ClassVar[Rules] = Rules(
        extra="reasoning_effort max_completion_tokens top_k min_p chat_template_kwargs",
        roles="system user assistant tool",
    )
    headers: ClassVar[dict[str, str]] = {"server": "uvicorn"}
    reasoning_key: ClassVar[str | None] = "reasoning"


class Lab(Server):
    """A server that a deployment names itself."""

    name: ClassVar[str] = "lab"
    prefix: ClassVar[str] = "/lab/v1"


class Gpu2(Server):
    """Another one, with a key."""

    name: ClassVar[str] = "gpu-2"
    prefix: ClassVar[str] = "/gpu-2/v1"
    key: ClassVar[str | None] = "test-gpu-2-key"

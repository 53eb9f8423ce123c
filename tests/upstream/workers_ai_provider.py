"""The service behind Cloudflare's AI binding: POST run/<model>, answered as the models answer.

Older models speak a native form, newer ones OpenAI's; the model's name decides. The stand-in
for the binding itself is the Worker in ai/.
"""

from typing import Any, ClassVar, Literal

from . import fixtures
from .behaviour import Behaviour
from .model import Answer, Question, embed, think, words
from .openai_checks import COMMON
from .openai_provider import DONE, OpenAi, Stream, plain_usage, question
from .reply import RejectedError, Reply, data, json_reply, names, sse_reply
from .request import Json, Request

OPENAI_SHAPED = ("gpt-oss", "qwen3", "kimi", "gemma-4", "glm")
KNOWN = COMMON | names(
    "prompt text raw lora top_k repetition_penalty functions reasoning_effort reasoning"
    " chat_template_kwargs guided_json max_completion_tokens image"
)
CODES = {400: 5006, 403: 5018, 404: 3042, 408: 3007, 413: 3006, 429: 3040, 500: 3001, 503: 3043}


class _Shaped(OpenAi):
    """How the newer models write an answer; the routes and checks are WorkersAi's own."""

    name: ClassVar[str] = "workers-ai"
    headers: ClassVar[dict[str, str]] = {}
    reasoning_key: ClassVar[str | None] = "reasoning_content"
    null_usage: ClassVar[Literal["never", "asked", "always"]] = "never"

    def extra(self) -> Json:
        return {}

    def usage(self, answer: Answer) -> Json:
        return plain_usage(answer)


class WorkersAi:
    """The upstream of the AI binding; the platform has authenticated the caller already."""

    name: ClassVar[str] = "workers-ai"
    prefix: ClassVar[str] = "/workers-ai/run"

    def __init__(self) -> None:
        self._shaped = _Shaped()

    def authorise(self, request: Request) -> None:
        """Nothing to check: a binding needs no key."""

    def unknown(self, request: Request, body: Json) -> list[str]:
        return sorted(body.keys() - KNOWN)

    def answer(self, request: Request, body: Any, behaviour: Behaviour) -> Reply:
        """The reply to a request of which the directives have been cut out."""
        model = request.path.removeprefix(f"{self.prefix}/")
        if request.method == "GET" and not model:
            return fixtures.load(self.name, "models")
        if not model.startswith("@") or "none" in model:
            raise RejectedError(400, f"No such model {model} or task", "5007")
        if "text" in body:
            return self._embeddings(body)
        asked = self._question(body)
        answer = think(asked, behaviour)
        if any(name in model for name in OPENAI_SHAPED):
            return self._openai_shaped(model, body, answer)
        return self._native(body, answer)

    def error(self, rejected: RejectedError) -> Reply:
        """What the binding turns into an Error named InferenceUpstreamError."""
        code = int(rejected.code or CODES.get(rejected.status, 3001))
        body = {
            "internalCode": code,
            "message": rejected.message,
            "name": "InferenceUpstreamError",
            "description": rejected.message,
        }
        return json_reply(body, {}, rejected.status)

    def stream_error(self) -> list[str]:
        return [data({"choices": [{"delta": {}, "finish_reason": "error"}]}), DONE]

    def _question(self, body: Json) -> Question:
        if isinstance(body.get("prompt"), str) and body["prompt"]:
            return Question(prompt=body["prompt"], input_tokens=words(body["prompt"]))
        if not isinstance(body.get("messages"), list) or not body["messages"]:
            text = (
                "Error: oneOf at '/' not met, 0 matches: required properties at '/' are"
                " 'prompt', required properties at '/' are 'messages'"
            )
            raise RejectedError(400, text, "5006")
        return question(body)

    def _native(self, body: Json, answer: Answer) -> Reply:
        calls = [{"name": call.name, "arguments": call.arguments} for call in answer.calls]
        usage = {"usage": plain_usage(answer)} if answer.counted else {}
        if not body.get("stream"):
            response: Json = {"response": answer.text or None} | usage
            return json_reply(response | ({"tool_calls": calls} if calls else {}), {})
        events = [data({"response": piece, "p": "abcd"}) for piece in answer.pieces]
        if calls:
            events.append(data({"response": "", "tool_calls": calls}))
        if usage:
            events.append(data({"response": ""} | usage))
        return sse_reply([*events, DONE], {})

    def _openai_shaped(self, model: str, body: Json, answer: Answer) -> Reply:
        if not body.get("stream"):
            return json_reply(self._shaped.completion(model, answer), {})
        stream = Stream(self._shaped, model, answer, usage=False)
        usage = {"usage": plain_usage(answer)} if answer.counted else {}
        events = [
            stream.chunk({"role": "assistant", "content": ""}),
            *stream.content(),
            stream.chunk({}, answer.finish, **usage),
            stream.chunk({}, answer.finish, **usage),
        ]
        return sse_reply([*events, DONE], {})

    def _embeddings(self, body: Json) -> Reply:
        texts = body["text"] if isinstance(body["text"], list) else [body["text"]]
        vectors = [embed(text, 8) for text in texts]
        answer: Json = {"shape": [len(vectors), 8], "data": vectors, "pooling": "mean"}
        return json_reply(answer, {})

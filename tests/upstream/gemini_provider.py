"""Gemini's native API: generateContent, streamGenerateContent, embedContent and the models."""

import json
import re
from itertools import count
from typing import Any, ClassVar

from . import fixtures
from .behaviour import Behaviour
from .gemini_checks import SIGNATURE, check_embeddings, check_generate, unknown_fields
from .model import Answer, Question, embed, think, words
from .reply import RejectedError, Reply
from .request import Json, Request

JSON_TYPE = {"content-type": "application/json; charset=UTF-8"}
FINISH = {"length": "MAX_TOKENS", "content_filter": "SAFETY", "tool_calls": "STOP", "stop": "STOP"}


class Gemini:
    """One instance lives as long as the upstream and numbers its answers."""

    name: ClassVar[str] = "gemini"
    prefix: ClassVar[str] = "/gemini"
    headers: ClassVar[dict[str, str]] = {
        "vary": "Origin, Referer, X-Origin",
        "server-timing": "gfet4t7; dur=20",
    }

    def __init__(self) -> None:
        self._ids = count(1)

    def authorise(self, request: Request) -> None:
        if "upload_id" in request.query:
            return  # which is the secret of its upload
        if request.headers.get("x-goog-api-key") != "test-gemini-key":
            text = "API key not valid. Please pass a valid API key."
            raise RejectedError(400, text, "API_KEY_INVALID")

    def unknown(self, request: Request, body: Json) -> list[str]:
        return unknown_fields(body) if "contents" in (body or {}) else []

    def answer(self, request: Request, body: Any, behaviour: Behaviour) -> Reply:
        """The reply to an authorised request of which the directives have been cut out."""
        path = re.sub(r"^/gemini/v1(beta)?(?=/)", "", request.path)
        if "/files" in path or (request.method, path) == ("GET", "/models"):
            return self._keep(request)
        match = re.fullmatch(r"/models/([^:/]+):(\w+)", path)
        if request.method != "POST" or match is None:
            raise RejectedError(404, "Not Found")
        model, method = match.groups()
        if "none" in model:
            text = (
                f"models/{model} is not found for API version v1beta, or is not supported for"
                f" {method}."
            )
            raise RejectedError(404, text)
        match method:
            case "generateContent" | "streamGenerateContent":
                check_generate(model, body)
                answer = think(question(body), behaviour)
                thoughts = body.get("generationConfig", {}).get("thinkingConfig", {})
                chunks = self.chunks(model, answer, bool(thoughts.get("includeThoughts")))
                if method == "generateContent":
                    return self._whole(chunks)
                return self._stream(chunks, sse=request.query.get("alt") == "sse")
            case "countTokens":
                return self._json({"totalTokens": sum(map(words, _texts(body["contents"])))})
            case "embedContent":
                return self._json(_embedding(body) | _embedding_usage([body], behaviour))
            case "batchEmbedContents":
                check_embeddings(body)
                vectors = [_embedding(one)["embedding"] for one in body["requests"]]
                usage = _embedding_usage(body["requests"], behaviour)
                return self._json({"embeddings": vectors} | usage)
        raise RejectedError(404, f"Method {method} is not known")

    def chunks(self, model: str, answer: Answer, thoughts: bool) -> list[Json]:
        """The answer as GenerateContentResponses: one for each part, the finish on the last."""
        signed = model.startswith(("gemini-2.5", "gemini-3"))
        parts: list[Json] = []
        if thoughts and answer.reasoning:
            parts.append({"text": answer.reasoning, "thought": True})
        parts += [{"text": piece} for piece in answer.pieces]
        for number, call in enumerate(answer.calls):
            part: Json = {"functionCall": {"name": call.name, "args": call.arguments}}
            parts.append(part | ({"thoughtSignature": SIGNATURE} if signed and not number else {}))
        head = {"modelVersion": model, "responseId": f"upstream{next(self._ids):08d}"}
        chunks = [_chunk([part], answer, head) for part in parts] or [_chunk([], answer, head)]
        last = chunks[-1]["candidates"][0]
        last["finishReason"] = FINISH.get(answer.finish, answer.finish)
        if answer.calls:
            last["finishMessage"] = "Model generated function call(s)."
        return chunks

    def error(self, rejected: RejectedError) -> Reply:
        body = json.dumps({"error": _error(rejected)}, indent=2, ensure_ascii=False)
        return Reply(rejected.status, JSON_TYPE | self.headers, [body.encode()])

    def stream_error(self) -> list[str]:
        error = _error(RejectedError(503, "The model is overloaded. Please try again later."))
        return [_event({"error": error})]

    def _whole(self, chunks: list[Json]) -> Reply:
        """All chunks as one response; neighbouring texts become one part, as Gemini sends them."""
        whole = chunks[-1]
        parts: list[Json] = []
        for chunk in chunks:
            for part in chunk["candidates"][0]["content"].get("parts", []):
                if parts and parts[-1].keys() == part.keys() == {"text"}:
                    parts[-1] = {"text": parts[-1]["text"] + part["text"]}
                else:
                    parts.append(part)
        if parts:
            whole["candidates"][0]["content"]["parts"] = parts
        return self._json(whole)

    def _stream(self, chunks: list[Json], sse: bool) -> Reply:
        if sse:
            events = [_event(chunk) for chunk in chunks]
            head = {"content-type": "text/event-stream"}
        else:
            texts = [_dump(chunk) for chunk in chunks]
            events = ["[" + texts[0], *(f"\r\n,\r\n{text}" for text in texts[1:]), "\r\n]"]
            head = JSON_TYPE
        return Reply(200, head | self.headers, [e.encode() for e in events], stream=True)

    def _keep(self, request: Request) -> Reply:
        """What is kept: models, and one file. The first request of an upload is told where the
        bytes go."""
        if request.path.endswith("/models"):
            return fixtures.load(self.name, "models")
        if "/upload/" not in request.path:
            return self._json(_file(3) if request.method == "GET" else {})
        if "upload_id" in request.query:
            final = {"x-goog-upload-status": "final"}
            reply = self._json({"file": _file(len(request.body))})
            return Reply(200, reply.headers | final, reply.events)
        url = (
            f"http://{request.headers['host']}{request.path}?upload_id=u1&upload_protocol=resumable"
        )
        return Reply(200, self.headers | {"x-goog-upload-url": url}, [])

    def _json(self, body: Json) -> Reply:
        return Reply(200, JSON_TYPE | self.headers, [_dump(body).encode()])


def _file(size: int) -> Json:
    return {
        "name": "files/abc",
        "mimeType": "text/plain",
        "sizeBytes": str(size),
        "uri": "https://generativelanguage.googleapis.com/v1beta/files/abc",
        "state": "ACTIVE",
    }


def _dump(value: Json) -> str:
    """JSON with Google's spacing."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ": "))


def _event(value: Json) -> str:
    """Gemini's line ends are CRLF."""
    return f"data: {_dump(value)}\r\n\r\n"


def _chunk(parts: list[Json], answer: Answer, head: Json) -> Json:
    content: Json = {"parts": parts, "role": "model"} if parts else {"role": "model"}
    chunk: Json = {"candidates": [{"content": content, "index": 0}]}
    if answer.counted:
        chunk["usageMetadata"] = _usage(answer)
    return chunk | head


def _usage(answer: Answer) -> Json:
    """The thoughts are counted beside the candidates; absent where there are none."""
    usage: Json = {"promptTokenCount": answer.input_tokens}
    if answer.answer_tokens:
        usage["candidatesTokenCount"] = answer.answer_tokens
    if answer.reasoning_tokens:
        usage["thoughtsTokenCount"] = answer.reasoning_tokens
    usage["totalTokenCount"] = sum(usage.values())
    return usage


def _error(rejected: RejectedError) -> Json:
    names = {
        400: "INVALID_ARGUMENT",
        401: "UNAUTHENTICATED",
        403: "PERMISSION_DENIED",
        404: "NOT_FOUND",
        429: "RESOURCE_EXHAUSTED",
        500: "INTERNAL",
        503: "UNAVAILABLE",
        504: "DEADLINE_EXCEEDED",
    }
    error: Json = {"code": rejected.status, "message": rejected.message}
    error["status"] = names.get(rejected.status, "UNKNOWN")
    kind = "type.googleapis.com/google.rpc."
    if rejected.code == "API_KEY_INVALID":
        error["details"] = [
            {"@type": f"{kind}ErrorInfo", "reason": rejected.code, "domain": "googleapis.com"}
        ]
    elif rejected.status == 429:
        error["details"] = [{"@type": f"{kind}RetryInfo", "retryDelay": "2s"}]
    return error


def _embedding(body: Json) -> Json:
    return {"embedding": {"values": embed(_embed_text(body), body.get("outputDimensionality", 8))}}


def _embedding_usage(requests: list[Json], behaviour: Behaviour) -> Json:
    if behaviour.no_usage:
        return {}
    tokens = sum(words(_embed_text(request)) for request in requests)
    return {"usageMetadata": {"promptTokenCount": tokens}}


def _embed_text(body: Json) -> str:
    parts = body.get("content", {}).get("parts", [])
    if not parts:
        raise RejectedError(400, "* EmbedContentRequest.content: content is not specified")
    return " ".join(part.get("text", "") for part in parts)


def question(body: Json) -> Question:
    """A generateContent request as the fake model reads it."""
    contents = body["contents"]
    system = body.get("systemInstruction") or body.get("system_instruction") or {"parts": []}
    asked = [c for c in contents if c["role"] == "user" and _texts([c])]
    declared = [d for tool in body.get("tools", []) for d in tool.get("functionDeclarations", [])]
    calling = body.get("toolConfig", {}).get("functionCallingConfig", {})
    allowed = calling.get("allowedFunctionNames") or [d["name"] for d in declared]
    mode = calling.get("mode", "AUTO").upper()
    return Question(
        prompt=" ".join(_texts(asked[-1:])),
        input_tokens=sum(words(text) for text in _texts([system, *contents])),
        images=_images(contents),
        tool=allowed[0] if allowed and mode != "NONE" else None,
        tools=frozenset(allowed),
        must_call=mode == "ANY",
        tool_result=_tool_result(contents[-1]),
        schema=_schema(body.get("generationConfig", {})),
    )


def _texts(contents: list[Json]) -> list[str]:
    return [
        part["text"]
        for content in contents
        for part in content["parts"]
        if "text" in part and not part.get("thought")
    ]


def _images(contents: list[Json]) -> list[str]:
    images = []
    for content in contents:
        for part in content["parts"]:
            if inline := part.get("inlineData") or part.get("inline_data"):
                images.append(inline.get("mimeType") or inline["mime_type"])
            elif "fileData" in part:
                images.append("url")
    return images


def _tool_result(content: Json) -> str | None:
    results = [
        p["functionResponse"]["response"] for p in content["parts"] if "functionResponse" in p
    ]
    if not results:
        return None
    texts = [next(iter(r.values()), "") if len(r) == 1 else r for r in results]
    return " ".join(t if isinstance(t, str) else json.dumps(t) for t in texts)


def _schema(config: Json) -> Any:
    schema = config.get("responseJsonSchema") or config.get("responseSchema")
    return schema or ({} if config.get("responseMimeType") == "application/json" else None)

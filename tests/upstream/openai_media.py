"""What OpenAI's API has beside chat, as far as the proxy passes it on: completions, moderation,
images, audio, files, and reranking as Together has it. Forms of OpenAI's API reference."""

import base64
import re
import time
from collections.abc import Callable
from typing import Any

from .model import words
from .reply import RejectedError, Reply, json_reply
from .request import Json, Request

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(64)).decode()
LARGE = 50 * 1024 * 1024
SPEECH = [b"ID3\x04\x00\x00", b"\xff\xfb\x90\x00" * 4000, b"\x00\x01\x02\x03" * 1000]
FREE = re.compile(r".*/(?:upload|audio|files|images/edits|images/variations)(?:/.*)?")
"""Paths that take other bodies than JSON."""


def answer_media(request: Request, path: str, body: Any, headers: Json) -> Reply | None:
    """The reply at such a path; None for any other."""
    if make := _JSON.get((request.method, path)):
        return json_reply(make(body or {}), headers)
    if make_of_form := _FORMS.get((request.method, path)):
        return json_reply(make_of_form(read_form(request)), headers)
    return _answer_bytes(request, path, body, headers)


def _answer_bytes(request: Request, path: str, body: Any, headers: Json) -> Reply | None:
    match request.method, path:
        case "POST", "/audio/speech":
            _require(body, "model", "input", "voice")
            return Reply(200, headers | {"content-type": "audio/mpeg"}, SPEECH, stream=True)
        case "GET" | "HEAD", "/files/file-abc/content":
            return Reply(200, headers | {"content-type": "text/html"}, [b"<script>1</script>"])
        case "POST" | "PUT" | "PATCH", "/files/echo":
            return json_reply({"bytes": len(request.body)}, headers)
        case "GET", "/files/large":
            return Reply(200, headers | {"content-type": "audio/wav"}, [bytes(LARGE)])
        case "GET", "/files/redirect":
            elsewhere = {"location": "http://127.0.0.1:9/stolen", "set-cookie": "a=b"}
            return Reply(302, headers | elsewhere, [])
    return None


def read_form(request: Request) -> dict[str, bytes]:
    """The parts of a form by their names."""
    kind = request.headers.get("content-type", "")
    if not kind.startswith("multipart/form-data"):
        raise RejectedError(400, "Could not parse multipart form")
    mark = b"--" + kind.partition("boundary=")[2].strip('"').encode()
    parts: dict[str, bytes] = {}
    for part in request.body.split(mark)[1:-1]:
        head, _, content = part.partition(b"\r\n\r\n")
        name = re.search(rb'[ ;]name="([^"]*)"', head)
        parts[name[1].decode() if name else ""] = content.removesuffix(b"\r\n")
    return parts


def _require(body: Json, *names: str) -> None:
    for name in names:
        if name not in body:
            raise RejectedError(400, f"you must provide a {name} parameter", param=name)


def _completion(body: Json) -> Json:
    _require(body, "model", "prompt")
    used, text = words(str(body["prompt"])), "and they lived happily."
    return {
        "id": "cmpl-upstream1",
        "object": "text_completion",
        "created": int(time.time()),
        "model": body["model"],
        "choices": [{"text": text, "index": 0, "logprobs": None, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": used, "completion_tokens": 4, "total_tokens": used + 4},
    }


def _moderation(body: Json) -> Json:
    _require(body, "input")
    scores = {"harassment": 0.0001, "violence": 0.0002}
    result = {
        "flagged": False,
        "categories": dict.fromkeys(scores, False),
        "category_scores": scores,
        "category_applied_input_types": {name: ["text"] for name in scores},
    }
    model = body.get("model", "omni-moderation-latest")
    return {"id": "modr-upstream1", "model": model, "results": [result]}


def _image(prompt: str) -> Json:
    used = words(prompt)
    usage = {
        "input_tokens": used,
        "input_tokens_details": {"image_tokens": 0, "text_tokens": used},
        "output_tokens": 272,
        "total_tokens": used + 272,
    }
    image = {"b64_json": PNG}
    form = {"background": "opaque", "output_format": "png", "quality": "low", "size": "1024x1024"}
    return {"created": 1_790_000_000, "data": [image], **form, "usage": usage}


def _transcription(form: dict[str, bytes]) -> Json:
    for name in ("model", "file"):
        if name not in form:
            raise RejectedError(400, f"you must provide a {name} parameter", param=name)
    usage = {
        "type": "tokens",
        "input_tokens": 14,
        "input_token_details": {"text_tokens": 0, "audio_tokens": 14},
        "output_tokens": 5,
        "total_tokens": 19,
    }
    said = f"{form['model'].decode()} heard {len(form['file'])} bytes"
    return {"text": said, "usage": usage}


def _ranking(body: Json) -> Json:
    _require(body, "model", "query", "documents")
    wanted = set(body["query"].lower().split())
    scores = [len(wanted & set(text.lower().split())) for text in body["documents"]]
    order = sorted(range(len(scores)), key=lambda i: -scores[i])
    results = [{"index": i, "relevance_score": float(scores[i])} for i in order]
    used = {"prompt_tokens": 12, "completion_tokens": 0, "total_tokens": 12}
    return {
        "id": "rr-1",
        "object": "rerank",
        "model": body["model"],
        "results": results[: body.get("top_n") or None],
        "usage": used,
    }


def _file(size: int) -> Json:
    return {
        "id": "file-abc",
        "object": "file",
        "bytes": size,
        "created_at": 1_790_000_000,
        "filename": "a.jsonl",
        "purpose": "batch",
        "status": "processed",
    }


_JSON: dict[tuple[str, str], Callable[[Json], Json]] = {
    ("POST", "/completions"): _completion,
    ("POST", "/moderations"): _moderation,
    ("POST", "/images/generations"): lambda body: _image(body["prompt"]),
    ("POST", "/rerank"): _ranking,
    ("GET", "/files/file-abc"): lambda _: _file(3),
    ("DELETE", "/files/file-abc"): lambda _: {"id": "file-abc", "object": "file", "deleted": True},
}
_FORMS: dict[tuple[str, str], Callable[[dict[str, bytes]], Json]] = {
    ("POST", "/images/edits"): lambda form: _image(form["prompt"].decode()),
    ("POST", "/images/variations"): lambda form: _image(f"like {len(form['image'])} bytes"),
    ("POST", "/audio/transcriptions"): _transcription,
    ("POST", "/audio/translations"): lambda form: {"text": _transcription(form)["text"]},
    ("POST", "/files"): lambda form: _file(len(form["file"])),
}

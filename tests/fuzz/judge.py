"""What must be true of every answer, whatever was sent."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import Struct

from proxy.api.routes import find_path
from proxy.serving.refusal import MISTAKE
from tests.fuzz.cases import Case

OWN_FAILURES = (502, 503, 504, 529)
"""The statuses above 500 with which the proxy tells of a provider, or of a moment's excess."""


class Answer(Struct):
    """What a caller got."""

    status: int
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes
    is_passed_on: bool = False
    """Whether it is a provider's own, which goes on as it came."""


def find_faults(case: Case, answer: Answer, secrets: Iterable[bytes]) -> list[str]:
    """What is wrong with an answer; secrets: what may stand in none."""
    faults = list(find_leaks(answer, secrets))
    if MISTAKE.encode() in answer.body:
        faults.append("the proxy made a mistake")
    if answer.is_passed_on:
        return faults
    if answer.status >= 500 and answer.status not in OWN_FAILURES:
        faults.append(f"status {answer.status}")
    if not answer.headers.get("x-request-id"):
        faults.append("no request id")
    if any(not value.isascii() or not value.isprintable() for value in answer.headers.values()):
        faults.append("a header that can't be sent")
    if answer.status >= 400 and case.method != "HEAD":
        faults.extend(_find_form_faults(case, answer))
    return faults


def find_leaks(answer: Answer, secrets: Iterable[bytes]) -> Iterable[str]:
    head = "\n".join(f"{name}: {value}" for name, value in answer.headers.items()).encode()
    for secret in secrets:
        if secret in answer.body or secret in head:
            yield f"shows {secret[:12]!r}…"


def _find_form_faults(case: Case, answer: Answer) -> Iterable[str]:
    """Whether an error is in the form in which its path's callers read errors."""
    path = find_path(case.path.partition("?")[0])
    form = (path.errors or path.dialect).NAME
    try:
        body: Any = json.loads(answer.body)
        error = body["error"]
        if not (isinstance(error["message"], str) and error["message"]):
            yield f"an error without a message: {answer.body[:300]!r}"
        named = {
            "native": lambda: body["metadata"]["requestId"],
            "openai": lambda: error["request_id"],
            "responses": lambda: error,  # a provider's own goes on as it came; the id is a header
            "messages": lambda: body["type"] == "error",
            "gemini": lambda: error["code"] == answer.status and error["status"],
        }[form]()
        if not named:
            yield f"no request id in the form of {form}: {answer.body[:300]!r}"
    except (ValueError, KeyError, TypeError, RecursionError):
        yield f"an error that is not in the form of {form}: {answer.body[:300]!r}"

"""Reads what a provider of Responses answers, and what its items mean in OpenAI's older terms.

The whole response goes on as it came for callers of the same dialect (`native`): items that are not
read here survive there.
"""

import re
from typing import Any

import msgspec
from msgspec import Raw, Struct, structs

from proxy.core.chat import Answer, Native, Wire
from proxy.core.errors import Fault
from proxy.core.json_guard import Decoder
from proxy.core.loose_json import as_object, as_objects, as_text
from proxy.core.messages import JSONObject, ToolCallDelta
from proxy.core.splice import NULL
from proxy.providers.error_body import read_error
from proxy.providers.faults import make_fault
from proxy.providers.finish import infer_finish, read_finish
from proxy.providers.garbage import UNREADABLE, decode, garbage
from proxy.providers.openai_answer import make_call
from proxy.providers.surrogates import mend
from proxy.providers.target import Target
from proxy.providers.usage import UsageReport, is_absent, read_usage

WIRE: Wire = "responses"
PARAGRAPH = "\n\n"
"""Stands between the texts of two messages, and between two thoughts."""
CALLS = {"function_call": ("function", "arguments"), "custom_tool_call": ("custom", "input")}
"""By the type of an item: the type of the call, and the field of what it is called with."""
_BROKEN_OFF = ("failed", "cancelled")
_CALLERS = re.compile(r"^invalid_(?!api_key)|image|policy|residency", re.IGNORECASE)
"""The codes of an error in an answer of status 200 that would come with 400 else."""
_REPORT = {
    "input_tokens": "prompt_tokens",
    "output_tokens": "completion_tokens",
    "input_tokens_details": "prompt_tokens_details",
    "output_tokens_details": "completion_tokens_details",
}
"""What the counts of a report are called in chat completions."""


class Response(Struct):
    """A response, whole or as it begins."""

    id: Any = None
    status: Any = None
    model: Any = None
    created_at: Any = None
    output: list[Any] | None = None
    incomplete_details: Any = None
    error: Any = None
    usage: Raw = NULL


class Said(Struct):
    """What an item says."""

    text: str = ""
    refusal: str = ""
    reasoning: str = ""
    annotations: list[JSONObject] = []
    logprobs: list[JSONObject] = []
    call: ToolCallDelta | None = None


RESPONSE = Decoder(Response, float_hook=float)  # 1e999 is infinite, and no error
_FIELDS = Decoder(dict[str, Raw])


def read_answer(target: Target, body: bytes) -> Answer:
    """Reads a whole answer. Raises Fault."""
    body = mend(body)
    response = decode(target, RESPONSE, body)
    if fault := find_fault(target, response, body):
        raise fault
    if response.output is None:
        raise garbage(target, "It has no output", body)
    items = as_objects(response.output)
    said = [read_item(item) for item in items]
    calls = [each.call for each in said if each.call]
    texts = [each.text for each in said if each.text]
    logprobs = [token for each in said for token in each.logprobs]
    annotations = [found for each in said for found in each.annotations]
    return Answer(
        text=PARAGRAPH.join(texts) if texts or not calls else None,
        reasoning=PARAGRAPH.join(each.reasoning for each in said if each.reasoning) or None,
        refusal="".join(each.refusal for each in said) or None,
        tool_calls=tuple(make_call(call, n, response.id) for n, call in enumerate(calls)),
        finish_reason=read_end(response, bool(calls)),
        usage=read_report(target, response.usage).usage,
        model=as_text(response.model),
        id=as_text(response.id),
        created=response.created_at if isinstance(response.created_at, int) else None,
        logprobs={"content": logprobs} if logprobs else None,
        extra={
            **({"annotations": annotations} if annotations else {}),
            **wrap_reasoning(target, [item for item in items if is_sealed(item)]),
        },
        native=Native(WIRE, body),
    )


def find_fault(target: Target, response: Response, data: bytes) -> Fault | None:
    """The fault that a response holds. data: the response."""
    if response.error:
        return read_inner_fault(target, data)
    if response.status in _BROKEN_OFF:
        error = {"message": f"The response ended as {response.status}."}
        return read_inner_fault(target, msgspec.json.encode({"error": error}))
    return None


def read_inner_fault(target: Target, data: bytes) -> Fault:
    """The fault of an error that stands in an answer of status 200."""
    error = read_error(data)
    if error.status is None and _CALLERS.search(error.code or ""):
        error = structs.replace(error, status=400)
    return make_fault(target, error)


def read_end(response: Response, called: bool) -> str:
    """Why a response ended."""
    reason = response.status
    if reason == "incomplete":
        reason = as_object(response.incomplete_details).get("reason") or reason
    return read_finish(reason, called) or infer_finish(called)


def read_report(target: Target, report: Raw) -> UsageReport:
    """Reads the usage by the names that it has in chat completions."""
    if is_absent(report):
        return UsageReport()
    try:
        fields = _FIELDS.decode(report)
    except UNREADABLE:
        return UsageReport(None, is_sound=False)
    renamed = {_REPORT.get(name, name): raw for name, raw in fields.items()}
    return read_usage(target, Raw(msgspec.json.encode(renamed)))


def read_item(item: JSONObject) -> Said:
    """What an item says; items of the provider's own tools say nothing."""
    kind = as_text(item.get("type")) or ""
    if kind in CALLS:
        return Said(call=_read_call(item, *CALLS[kind]))
    if kind == "reasoning":
        parts = as_objects(item.get("summary")) + as_objects(item.get("content"))
        texts = (as_text(part.get("text")) for part in parts)
        return Said(reasoning=PARAGRAPH.join(filter(None, texts)))
    said = Said()
    if kind == "message":
        for part in as_objects(item.get("content")):
            said.text += as_text(part.get("text")) or ""
            said.refusal += as_text(part.get("refusal")) or ""
            said.annotations += map(nest_annotation, as_objects(part.get("annotations")))
            said.logprobs += map(complete_logprob, as_objects(part.get("logprobs")))
    return said


def _read_call(item: JSONObject, kind: str, field: str) -> ToolCallDelta:
    """A call; the namespace of a tool goes before its name."""
    name, namespace = as_text(item.get("name")), as_text(item.get("namespace"))
    given = item.get(field)
    if given is not None and not isinstance(given, str):
        given = msgspec.json.encode(given).decode()
    return ToolCallDelta(
        id=as_text(item.get("call_id")) or as_text(item.get("id")),
        name=f"{namespace}__{name}" if namespace and name else name,
        arguments=given or "",
        type=kind,
    )


def is_sealed(item: JSONObject) -> bool:
    """Whether it is reasoning that the provider has sealed to have it back."""
    return item.get("type") == "reasoning" and bool(as_text(item.get("encrypted_content")))


def wrap_reasoning(target: Target, items: list[JSONObject]) -> JSONObject:
    """The field of a message that holds what the provider wants back of its reasoning."""
    return {"extra_content": {target.spec.name: {"reasoning": items}}} if items else {}


def nest_annotation(annotation: JSONObject) -> JSONObject:
    """An annotation in the form of chat completions."""
    kind = as_text(annotation.get("type")) or ""
    return {"type": kind, kind: {name: v for name, v in annotation.items() if name != "type"}}


def complete_logprob(token: JSONObject) -> JSONObject:
    """A token with its log probability, in the form of chat completions."""
    return {"bytes": None, "top_logprobs": [], **token}

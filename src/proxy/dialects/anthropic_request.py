"""What callers of Anthropic's Messages request.

The body is kept whole for a provider of this dialect; the proxy's own fields (`provider`,
`fallback`, `strategy`, `cache`, `timeout`, `models`) are taken out of it. For others it is
translated: what changes no answer is named in `dropped`, what would change it is reserved for
those who know it (`native_only`).
"""

import re
from typing import Any

import msgspec
from msgspec import Raw, Struct

from proxy.core.chat import Call, ChatRequest
from proxy.core.errors import invalid
from proxy.core.json_guard import Decoder
from proxy.core.messages import NOTHING, JSONSchema, ResponseFormat
from proxy.core.splice import NULL
from proxy.dialects import reading
from proxy.dialects.anthropic_body import (
    ANY,
    BODY,
    OBJECT,
    Body,
    Form,
    Metadata,
    Thinking,
    decode,
    read_fields,
)
from proxy.dialects.anthropic_parts import Findings
from proxy.dialects.anthropic_tools import Names, read_choice, read_tools
from proxy.dialects.anthropic_turns import Conversation
from proxy.dialects.steering import OWN, read_cache, read_routing, read_vendors

_CARRIED = frozenset(Body.__struct_fields__) - {"thinking", "output_config"}
"""Fields that ChatRequest and Call have a place for."""
_IGNORED = frozenset({
    "top_k", "service_tier", "speed", "inference_geo", "diagnostics", "context_management",
    "safeguards", "fallbacks", "compaction", "billing_policy", "betas", "user_profile_id",
})  # fmt: skip
"""Fields that change no answer, or none that another model could give alike."""
_READ = frozenset({"thinking", "output_config"})
"""Fields that others get translated, and a provider of this dialect to the letter."""
_EMPTY = (Raw(b"[]"), Raw(b"{}"))
_BUDGETS = ((4096, "high"), (2048, "medium"), (1024, "low"))
"""Tokens of thinking, and the effort that they are."""
_SESSION = re.compile(r"_session_([0-9a-fA-F-]{36})$")
_LABEL = re.compile(r"[^\x00-\x1f\x7f-\x9f\u2028\u2029]{1,256}")


class _User(Struct):
    """What Claude Code's `user_id` holds."""

    session_id: str = ""


_USER = Decoder(_User)


def parse_chat(body: bytes) -> Call:
    """Reads and validates a request. Raises InvalidRequest, its message naming the field."""
    call = parse_count(body)
    if call.chat.max_tokens is None:
        raise invalid("max_tokens", "Field required")
    return call


def parse_count(body: bytes) -> Call:
    """Reads and validates a request whose tokens are to be counted: `max_tokens` may be missing.
    Raises InvalidRequest."""
    reading.check(body)
    fields = read_fields(body)
    request = decode(BODY, body)
    findings, names = Findings(), Names()
    extra = _read_extra(request, fields, findings)
    chat = _read_chat(request, fields, extra, findings, names)
    own = OWN & fields.keys()
    if findings.is_sealed:
        kept = None
    elif own:
        kept = msgspec.json.encode({k: v for k, v in fields.items() if k not in own})
    else:
        kept = body
    user, session = _read_user(request.metadata)
    return Call(
        chat=msgspec.structs.replace(chat, body=kept, native_only=findings.native_only),
        routing=read_routing(request),
        cache=read_cache(request.cache),
        user=user,
        session=session,
        bridged=names.bridged,
        dropped=tuple(findings.dropped),
    )


def _read_chat(
    request: Body, fields: dict[str, Raw], extra: dict[str, Raw], findings: Findings, names: Names
) -> ChatRequest:
    """The request for a model, less what is only known when all is read."""
    conversation = Conversation(fields, findings, names.shorten)
    messages = conversation.read(request.system, request.messages)
    raw_tools = fields.get("tools", NOTHING)
    tools = read_tools(request.tools or (), raw_tools, names, findings)
    choice = request.tool_choice
    findings.drop("cache_control", request.cache_control)
    return ChatRequest(
        messages=messages,
        stream=bool(request.stream),
        max_tokens=request.max_tokens,
        temperature=request.temperature,
        top_p=request.top_p,
        stop=request.stop_sequences or (),
        tools=tools,
        tool_choice=read_choice(choice, tools, names),
        parallel_tool_calls=False if choice and choice.disable_parallel_tool_use else None,
        response_format=_read_format(request, findings),
        reasoning_effort=_read_effort(request),
        reasoning_summary=_read_summary(request.thinking),
        vendors=read_vendors(request, fields),
        extra=extra,
        cache_control=request.cache_control,
        dialect="messages",
    )


def _read_extra(request: Body, fields: dict[str, Raw], findings: Findings) -> dict[str, Raw]:
    """The fields that only a provider of this dialect knows. Raises InvalidRequest for one that is
    no proper JSON."""
    extra: dict[str, Raw] = {}
    for name, value in fields.items():
        if name in _CARRIED or value == NULL:
            continue
        decode(ANY, value, name)
        if name == "output_config":
            rest = decode(OBJECT, value, name).keys() - {"effort", "format"}
            if not rest:
                continue
            findings.dropped |= dict.fromkeys(f"output_config.{key}" for key in sorted(rest))
        extra[name] = value
        if name in _IGNORED:
            findings.drop(name, value)
        elif name not in _READ and value not in _EMPTY and not _is_new_thread(name, value):
            findings.reserve(name[:80], name[:80], "Extra inputs are not permitted")
    if request.max_tokens == 0:
        findings.reserve("max_tokens", "max_tokens", "Input should be greater than or equal to 1")
    return extra


def _is_new_thread(name: str, value: Raw) -> bool:
    """Whether it is a thread that goes on with nothing."""
    fields: Any = decode(ANY, value) if name == "thread" else None
    return isinstance(fields, dict) and fields.get("type") != "continue"


def _read_effort(request: Body) -> str | None:
    """How much the model is to think, in OpenAI's words."""
    thinking = request.thinking
    if thinking and thinking.type == "disabled":
        return "none"
    if request.output_config and request.output_config.effort:
        return request.output_config.effort
    if thinking is None or thinking.type != "enabled" or thinking.budget_tokens is None:
        return None
    budget = thinking.budget_tokens
    return next((effort for least, effort in _BUDGETS if budget >= least), "minimal")


def _read_summary(thinking: Thinking | None) -> str | None:
    """Whether the thinking is to be shown."""
    if thinking is None or thinking.type not in ("enabled", "adaptive"):
        return None
    return None if thinking.display == "omitted" else "auto"


def _read_format(request: Body, findings: Findings) -> ResponseFormat | None:
    """The form of the answer, by its new name or its old."""
    config = request.output_config
    for path, form in (
        ("output_config.format", config.format if config else None),
        ("output_format", request.output_format),
    ):
        if form is not None:
            return _read_form(form, path, findings)
    return None


def _read_form(form: Form, path: str, findings: Findings) -> ResponseFormat | None:
    if form.type != "json_schema":
        kind = form.type[:80]
        findings.reserve(path, kind, f"Input tag '{kind}' is not known to other dialects")
        return None
    if form.schema_ is None:
        raise invalid(f"{path}.schema", "Field required")
    return ResponseFormat("json_schema", JSONSchema(schema_=form.schema_, strict=True))


def _read_user(metadata: Metadata | None) -> tuple[str | None, str]:
    """The caller's own user and its session. Claude Code puts both into one text, as JSON or one
    after the other."""
    user = (metadata and metadata.user_id) or ""
    if user.startswith("{"):
        try:
            session = _USER.decode(user.encode(errors="surrogatepass")).session_id
        except (msgspec.DecodeError, UnicodeDecodeError):
            session = ""
        return None, session if _LABEL.fullmatch(session) else ""
    found = _SESSION.search(user)
    return user if _LABEL.fullmatch(user) else None, found[1] if found else ""

"""What is settled of a request before providers are asked, and told of their answer after."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeAlias

import msgspec
from msgspec import Meta, structs

from proxy.cache.flight import Terms
from proxy.core.chat import Answer, Call, Cost, Message, Routing, Served, Usage
from proxy.core.errors import InvalidRequest
from proxy.limits.limiter import Limiter, Meter
from proxy.routing.failure import refused
from proxy.routing.manager import Done
from proxy.routing.plan import Plan
from proxy.routing.retry import Retrying
from proxy.serving.context import Exchange

LABELS_KEPT = 2_000
"""Characters of a request's labels that are kept."""
PROMPT_LOGGED = 50_000
"""Characters of a prompt that are logged; the platform keeps 256 KB of an invocation's lines."""


def note_call(exchange: Exchange, call: Call) -> None:
    """Keeps what was asked for. Raises InvalidRequest for labels that are none."""
    note_asked(exchange, call.routing, call.metadata)
    exchange.facts["stream"] = call.chat.stream


def note_asked(exchange: Exchange, routing: Routing, metadata: Mapping[str, str]) -> None:
    """Keeps who was asked for, and the labels, those of the body before those of the header, as
    far as there is room. Raises InvalidRequest for labels that are none."""
    labels = _labels(exchange.request.headers.get("cf-aig-metadata"))
    kept: dict[str, str] = {}
    room = LABELS_KEPT
    nearest = {**metadata, **{n: v for n, v in labels.items() if n not in metadata}}
    for name, value in nearest.items():
        room -= len(name) + len(value)
        if room >= 0:
            kept[name] = value
    exchange.facts["metadata"] = kept
    provider = f"{routing.provider}/" if routing.provider else ""
    exchange.facts.update(
        requested_model=f"{provider}{routing.model}"[:200], strategy=routing.strategy or ""
    )


def log_prompt(exchange: Exchange, call: Call) -> None:
    """Logs what is asked, as far as a line may hold it: for deployments that want it, and of
    requests that may be logged."""
    if exchange.request.headers.get("cf-aig-collect-log") == "false":
        return
    kept = PROMPT_LOGGED
    shown = list[Message]()
    for message in call.chat.messages:
        shown.append(_shortened(message, kept))
        kept -= len(msgspec.json.encode(shown[-1]))
        if kept <= 0:
            break
    messages = msgspec.json.encode(shown).decode()
    user = exchange.principal.user if exchange.principal else None
    exchange.ports.log(
        "info", "prompt", request_id=exchange.id, user=user, messages=messages[:PROMPT_LOGGED]
    )


def _shortened(message: Message, most: int) -> Message:
    """A message with no longer text than a line may hold: a copy of an image would be memory."""
    if isinstance(message.content, str):
        return structs.replace(message, content=message.content[:most])
    parts = []
    for part in message.parts:
        image = part.image_url and structs.replace(part.image_url, url=part.image_url.url[:most])
        parts.append(structs.replace(part, text=part.text and part.text[:most], image_url=image))
    return structs.replace(message, content=message.content and tuple(parts))


def _labels(header: str | None) -> dict[str, str]:
    """Cloudflare AI Gateway's header of labels: a JSON object of texts, numbers and booleans."""
    if header is None:
        return {}
    try:
        labels = msgspec.json.decode(header, type=_LABELS)
    except msgspec.DecodeError as error:
        name = "cf-aig-metadata"
        raise InvalidRequest(f"{name} must be a JSON object: {error}", param=name) from error
    return {name: v if isinstance(v, str) else f"{v}".lower() for name, v in labels.items()}


_Number: TypeAlias = Annotated[int, Meta(ge=-(2**53), le=2**53)] | float
_Label: TypeAlias = Annotated[str, Meta(max_length=512)] | _Number | bool
_LABELS = Annotated[dict[Annotated[str, Meta(max_length=64)], _Label], Meta(max_length=16)]


def timed(routing: Routing, headers: Mapping[str, str]) -> Routing:
    """The routing within the time that Cloudflare AI Gateway's header gives it. Raises
    InvalidRequest."""
    given = headers.get("cf-aig-request-timeout")
    if given is None or routing.timeout_ms is not None:
        return routing
    given = given.strip()  # of more than `int` takes for blank
    if not re.fullmatch(r"[0-9]{1,6}", given) or not 1 <= int(given) <= 600_000:
        name = "cf-aig-request-timeout"
        raise InvalidRequest(f"{name} must be a whole number from 1 to 600000", param=name)
    return structs.replace(routing, timeout_ms=int(given))


async def admitted(exchange: Exchange, limiter: Limiter) -> Meter:
    """The limits for a request, which its key's own request limit lets in. Raises ProxyError."""
    assert exchange.principal  # no path that serves is public
    meter = exchange.meter = limiter.meter(exchange.principal, exchange.request.defer)
    if refusal := await meter.admit():
        raise refused([refusal])
    return meter


def estimated_usage(meter: Meter, characters: int, limit: int | None) -> Usage:
    """What an answer of so many characters has used whose provider does not report it, or that
    broke off before. limit: the most tokens that it may have."""
    output = -(-characters // 4)
    output = output if limit is None else min(output, limit)
    return Usage(input=meter.expected(None).input, output=output)


def terms_of(plan: Plan, routing: Routing, retrying: Retrying, timeout: float) -> Terms:
    """What a request has to get an answer with. timeout: its seconds."""
    return Terms(
        candidates=tuple(f"{t.spec.name}/{t.model.id}" for t in plan.in_order()),
        order=(routing.strategy or "", *routing.order),
        timeout=timeout,
        attempts=retrying.attempts,
        pause=(retrying.delay_ms, retrying.backoff),
    )


def characters(answer: Answer) -> int:
    """How many characters the model has written."""
    texts = (answer.text, answer.reasoning, answer.refusal)
    arguments = (call.function.arguments for call in answer.tool_calls)
    return sum(len(text or "") for text in (*texts, *arguments))


def served_by(
    exchange: Exchange,
    done: Done,
    cost: Cost,
    cache_status: Literal["miss", "bypass"] = "bypass",
) -> Served:
    """How an answer of a provider was served."""
    return Served(
        request_id=exchange.id,
        provider=done.target.spec.name,
        model=done.target.model.id,
        attempts=done.attempts,
        dropped=done.dropped,
        cost=cost,
        cache_status=cache_status,
        ms=exchange.ms,
        created=int(exchange.began),
        explained=_explained(exchange, done),
    )


def _explained(exchange: Exchange, done: Done) -> list[dict[str, Any]] | None:
    """Why this provider, for an operator who asks."""
    admin = exchange.principal is not None and exchange.principal.admin
    if not admin or exchange.request.headers.get("x-proxy-explain") != "1":
        return None
    return [
        {
            "strategy": order.strategy,
            "explored": order.explored,
            "candidates": [structs.asdict(scored) for scored in order.scores],
        }
        for order in done.explain()
    ]

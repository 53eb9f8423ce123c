"""Plays what providers say to their adapters, and tells in a line what an adapter made of it."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from msgspec import structs

from proxy.core.chat import Answer, Chunk, Usage
from proxy.core.collect import Collector
from proxy.core.errors import Fault
from proxy.core.messages import ToolCall
from proxy.core.ports import Outgoing
from proxy.providers.adapter import Adapter
from proxy.providers.catalog import Catalog
from proxy.providers.registry import ADAPTERS
from proxy.providers.specs import Model
from proxy.providers.stream import StreamDecoder
from proxy.providers.target import Target

ROOT = Path(__file__).parents[2] / "fixtures"
OUTCOMES = Path(__file__).with_name("outcomes")
CATALOG = Catalog.load()
KEY = "key-of-the-proxy-itself"


class Fixture(NamedTuple):
    """One answer of a provider, as bytes."""

    status: int
    headers: dict[str, str]
    body: bytes
    streams: bool


def target(provider: str, model: str | None = None, key: str | None = KEY) -> Target:
    """A provider of the catalogue; without a model, one that the catalogue does not list."""
    spec = CATALOG.providers[provider]
    listed = CATALOG.resolve(provider, model) if model else Model(provider=provider, id="model-1")
    return Target(
        spec=spec, model=listed, base_url="https://upstream.test/v1", wire=spec.main, key=key
    )


def adapter(provider: str) -> Adapter:
    """The adapter of a provider's dialect."""
    return ADAPTERS[CATALOG.providers[provider].main]


def load(provider: str, case: str) -> Fixture:
    """A fixture by its name."""
    outgoing = json.loads((ROOT / provider / f"{case}.json").read_text())
    if "sse" in outgoing:
        body = "".join(outgoing["sse"])
    else:
        body = outgoing["body"]
        body = body if isinstance(body, str) else json.dumps(body, separators=(",", ":"))
    return Fixture(outgoing["status"], outgoing["headers"], body.encode(), "sse" in outgoing)


def cases(provider: str) -> list[str]:
    """The provider's answers to chats: what a probe hears no adapter reads, and vectors don't
    fit into a line."""
    stems = sorted(path.stem for path in (ROOT / provider).glob("*.json"))
    return [case for case in stems if not case.startswith(("models", "key", "embeddings"))]


def outcomes(provider: str) -> dict[str, str]:
    """What is expected of each fixture of a provider: a line each."""
    lines = (OUTCOMES / f"{provider}.txt").read_text().splitlines()
    return {case: expected for case, _, expected in (line.partition(" ") for line in lines)}


def decode(decoder: StreamDecoder, pieces: Iterable[bytes]) -> list[Chunk]:
    """All chunks of a stream that comes in these pieces."""
    chunks = [chunk for piece in pieces for chunk in decoder.feed(piece)]
    return chunks + decoder.end()


def merge(chunks: Iterable[Chunk]) -> list[Chunk]:
    """The chunks with neighbouring pieces of text as one: how many come as one is left open."""
    merged: list[Chunk] = []
    for chunk in chunks:
        last = merged[-1] if merged else None
        if last and _beside_text(last) == _beside_text(chunk) == _PLAIN:
            raws = [piece.raw for piece in (last, chunk) if piece.raw is not None]
            raw = b"\n\ndata: ".join(raws) if raws else None
            merged[-1] = structs.replace(chunk, text=last.text + chunk.text, raw=raw)
        else:
            merged.append(chunk)
    return merged


_PLAIN = Chunk()


def _beside_text(chunk: Chunk) -> Chunk:
    return structs.replace(chunk, text="", raw=None, model=None, id=None)


def decode_body(outgoing: Outgoing) -> Any:
    """The JSON that a call sends."""
    body = outgoing.body or b""
    return json.loads(body if isinstance(body, bytes) else b"".join(body))


def collect(chunks: Iterable[Chunk]) -> Answer:
    """The chunks put together."""
    collector = Collector()
    for chunk in chunks:
        collector.add(chunk)
    return collector.answer()


def outcome(provider: str, case: str) -> str:
    """What the adapter makes of a fixture."""
    fixture, spoken, to = load(provider, case), adapter(provider), target(provider)
    try:
        if fixture.status >= 300:
            raise spoken.read_fault(to, fixture.status, fixture.headers, fixture.body)
        if not fixture.streams and case != "stream-ignored":
            answer = spoken.read_answer(to, fixture.body)
            return describe(answer) + (" raw" if answer.raw == fixture.body else "")
        decoder = spoken.make_decoder(to)
        chunks = decode(decoder, [fixture.body])
    except Fault as fault:
        return describe_fault(fault)
    raw = sum(chunk.raw is not None for chunk in chunks)
    end = "" if decoder.finished else " UNFINISHED"
    return f"{describe(collect(chunks))} chunks={len(chunks)} raw={raw}{end}"


def describe(answer: Answer) -> str:
    """An answer in a line."""
    parts = [repr(answer.text), answer.finish_reason, *map(describe_call, answer.tool_calls)]
    if answer.reasoning:
        parts.append(f"thought={answer.reasoning!r}")
    if answer.refusal:
        parts.append(f"refusal={answer.refusal!r}")
    parts += [f"+{name}" for name in answer.extra]
    return " ".join([*parts, describe_usage(answer.usage)])


def describe_call(call: ToolCall) -> str:
    signed = " signed" if call.extra_content else ""
    return f"{call.function.name}({call.function.arguments})#{call.id}{signed}"


def describe_usage(usage: Usage | None) -> str:
    if usage is None:
        return "tokens=?"
    named = ("cached", "cache_write", "reasoning", "cost")
    parts = [f" {name}={value}" for name in named if (value := getattr(usage, name)) is not None]
    return f"tokens={usage.input}+{usage.output}{''.join(parts)}"


def describe_fault(fault: Fault) -> str:
    details = {"code": fault.code, "param": fault.param, "retry_after": fault.retry_after}
    parts = [f"{name}={value}" for name, value in details.items() if value is not None]
    parts += ["lacks"] if fault.lacks else []
    message = fault.message if len(fault.message) < 60 else f"{fault.message[:60]}…"
    return f"FAULT {fault.kind} {fault.status} {' '.join([*parts, repr(message)])}"

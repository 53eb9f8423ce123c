"""Health checks: each configured provider's cheapest authenticated call, by the cron trigger. Of
several keys one that is usable is sent, another each time."""

import asyncio

from msgspec import Struct

from proxy.core.errors import Fault
from proxy.core.ports import Clock, Objects, Upstream
from proxy.core.receive import drain, read_head
from proxy.core.rpc import NOTHING, Method, as_text
from proxy.providers.registry import ADAPTERS
from proxy.providers.target import Target
from proxy.routing.board import BOARD

PROBE_SECONDS = 10.0
"""What a provider has for its whole answer."""


class Check(Struct, frozen=True, rename="camel"):
    """What a check saw."""

    provider: str
    healthy: bool
    checked_at: int
    """Milliseconds since 1970."""
    latency_ms: int
    """To the whole answer."""
    status: int | None = None
    reason: str | None = None
    key: int | None = None
    """The number of the key that was sent, where the provider has several."""


_CHECKS = as_text(tuple[Check, ...])
RECORD_CHECKS = Method("PROVIDER_STATE", "record_checks", _CHECKS, NOTHING)
READ_CHECKS = Method("PROVIDER_STATE", "read_checks", NOTHING, _CHECKS)


async def check_all(targets: list[Target], upstream: Upstream, clock: Clock) -> tuple[Check, ...]:
    """Checks the providers of `targets` at once, but for those that have nothing to ask for."""
    asked = [target for target in targets if target.spec.probe_path is not None]
    return tuple(await asyncio.gather(*(_check(target, upstream, clock) for target in asked)))


async def record_checks(checks: tuple[Check, ...], objects: Objects) -> None:
    """Writes checks to the board."""
    await objects.call(RECORD_CHECKS, BOARD, checks)


async def _check(target: Target, upstream: Upstream, clock: Clock) -> Check:
    adapter = ADAPTERS[target.wire]
    began = clock.now()
    status: int | None = None
    reason: str | None = None
    try:
        async with asyncio.timeout(PROBE_SECONDS):
            reply = await upstream.send(adapter.build_probe(target), idle=PROBE_SECONDS)
            status = reply.status
            if not 200 <= status < 300:
                head = await read_head(reply)
                reason = adapter.read_fault(target, status, reply.headers, head).message
            else:
                await drain(reply)
    except Fault as fault:
        reason = fault.message
    except TimeoutError:
        reason = f"no answer within {PROBE_SECONDS:.0f} s"
    now = clock.now()
    return Check(
        provider=target.spec.name,
        healthy=reason is None,
        checked_at=round(now * 1000),
        latency_ms=round((now - began) * 1000),
        status=status,
        reason=reason,
        key=target.key_number or None,
    )

"""What was used of limits and budgets, as operators see it beside keys, budgets and aliases."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from msgspec import Struct

from proxy.api.services import Services
from proxy.core.choices import Allotment
from proxy.core.errors import invalid
from proxy.core.money import to_dollars
from proxy.limits.account_messages import SHOW_ACCOUNT
from proxy.limits.lease_messages import SHOW_BUCKET
from proxy.serving.context import RequestContext

T = TypeVar("T")

SECONDS = 5.0
"""What all objects of a kind together may take."""
AT_ONCE = 32
_SPARE = 10
"""Subrequests of an invocation that are left for the rest of the request."""


class Used(Struct, frozen=True):
    """What an account has spent, in dollars of the day and the month of UTC. None: not known, for
    nothing is counted there, or it can't be reached."""

    day: float | None = None
    month: float | None = None


class TargetUse(Used, frozen=True):
    """What all callers of an alias have used of a target's own limit and budget. None: it has no
    such limit, or what was used is not known, for the object can't be reached."""

    requests: int | None = None
    """Of those that may come at once, how many have gone and not come back by the hourly rate. What
    isolates have leased counts."""


def wants_usage(context: RequestContext) -> bool:
    """Whether a request has `usage=true`. Raises InvalidRequest."""
    given = context.request.query.get("usage", "false")
    if given not in ("true", "false"):
        raise invalid("usage", "Must be true or false")
    return given == "true"


def count_free(services: Services) -> int:
    """How many objects one invocation has the subrequests to ask."""
    return services.settings.server.subrequest_limit - _SPARE


def bound_page(services: Services, limit: int) -> int:
    """How many rows a page has, each with an account."""
    return min(limit, count_free(services))


async def read_used(services: Services, accounts: Sequence[str | None]) -> list[Used]:
    """What each account has spent. None: there is none."""

    async def read(account: str) -> Used:
        view = await services.ports.objects.call(SHOW_ACCOUNT, account, None)
        return Used(to_dollars(view.spent_day), to_dollars(view.spent_month))

    found = await _read_known(services, accounts, read)
    return [used or Used() for used in found]


async def read_target_use(services: Services, allotments: Sequence[Allotment]) -> list[TargetUse]:
    """What was used of each target of an alias."""

    async def read(bucket: str) -> int:
        view = await services.ports.objects.call(SHOW_BUCKET, bucket, None)
        return view.rate.burst - view.level if view.rate else 0

    limited = [its.name if its.per_hour is not None else None for its in allotments]
    requests, used = await asyncio.gather(
        _read_known(services, limited, read),
        read_used(services, [its.name if its.has_budget else None for its in allotments]),
    )
    pairs = zip(used, requests, strict=True)
    return [TargetUse(spent.day, spent.month, taken) for spent, taken in pairs]


async def _read_known(
    services: Services, names: Sequence[str | None], read: Callable[[str], Awaitable[T]]
) -> list[T | None]:
    """What `read` answers for each name. None: the name is none, or there is no answer in time."""
    free = asyncio.Semaphore(AT_ONCE)

    async def read_in_turn(name: str) -> T:
        async with free:
            return await read(name)

    reading = {name: asyncio.ensure_future(read_in_turn(name)) for name in names if name}
    if not reading:
        return [None] * len(names)
    _, late = await asyncio.wait(reading.values(), timeout=SECONDS)
    for task in late:
        task.cancel()
    await asyncio.wait(reading.values())
    known = {name: task.result() for name, task in reading.items() if _has_result(task)}
    if lost := len(reading) - len(known):
        services.ports.log("error", "accounts unreachable", count=lost)
    return [known.get(name) if name else None for name in names]


def _has_result(task: asyncio.Future[T]) -> bool:
    return not task.cancelled() and task.exception() is None

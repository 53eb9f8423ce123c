"""What accounts have spent, as operators are shown it beside keys and budgets."""

import asyncio
from collections.abc import Sequence

from msgspec import Struct

from proxy.analytics.query.parameters import invalid
from proxy.api.services import Services
from proxy.core.money import to_dollars
from proxy.limits.account_messages import SHOW_ACCOUNT
from proxy.serving.context import RequestContext

SECONDS = 5.0
"""What all accounts together may take."""
AT_ONCE = 32
_SPARE = 10
"""Subrequests of an invocation that are left for the rest of the request."""


class Used(Struct, frozen=True):
    """What an account has spent, in dollars of the day and the month of UTC. None: not known, for
    nothing is counted there, or it can't be reached."""

    day: float | None = None
    month: float | None = None


def wants_usage(context: RequestContext) -> bool:
    """Whether a request has `usage=true`. Raises InvalidRequest."""
    given = context.request.query.get("usage", "false")
    if given not in ("true", "false"):
        raise invalid("usage", "Must be true or false")
    return given == "true"


def bound_page(services: Services, limit: int) -> int:
    """How many rows a page has for whose accounts one invocation has the subrequests."""
    return min(limit, services.settings.server.subrequest_limit - _SPARE)


async def read_used(services: Services, accounts: Sequence[str | None]) -> list[Used]:
    """What each account has spent. None: there is none."""
    free, ports = asyncio.Semaphore(AT_ONCE), services.ports

    async def read(account: str) -> Used:
        async with free:
            view = await ports.objects.call(SHOW_ACCOUNT, account, None)
        return Used(to_dollars(view.spent_day), to_dollars(view.spent_month))

    reading = {name: asyncio.ensure_future(read(name)) for name in accounts if name}
    if not reading:
        return [Used()] * len(accounts)
    _, late = await asyncio.wait(reading.values(), timeout=SECONDS)
    for task in late:
        task.cancel()
    await asyncio.wait(reading.values())
    known = {name: task.result() for name, task in reading.items() if _has_result(task)}
    if lost := len(reading) - len(known):
        ports.log("error", "accounts unreachable", count=lost)
    return [known.get(name or "", Used()) for name in accounts]


def _has_result(task: asyncio.Future[Used]) -> bool:
    return not task.cancelled() and task.exception() is None

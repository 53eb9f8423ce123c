"""What the tests of failing requests have in common."""

from typing import Any

import pytest

from proxy.core.errors import (
    ProxyError,
)
from proxy.routing.watch import Watch
from tests.unit.doubles import (
    Answerer,
)
from tests.unit.routing.making import (
    Isolate,
    made_catalog,
    outside,
    streamed,
)

MINUTE_MS = "60000"


def open_breakers(watch: Watch) -> set[str]:
    return {name for name, view in watch.views().items() if view.phase != "closed"}


def outcomes(error: ProxyError) -> list[tuple[str, str | None]]:
    return [(attempt.outcome, attempt.blame) for attempt in error.attempts]


def isolate_of(answer: Answerer, **env: str) -> Isolate:
    settings = {"RETRY_ATTEMPTS": "1", "REQUEST_TIMEOUT_MS": MINUTE_MS} | env
    return Isolate(made_catalog(), outside(answer), **settings)


async def failing(isolate: Isolate, times: int = 6, **routing: Any) -> list[ProxyError]:
    """The errors of requests that all fail."""
    errors = []
    for _ in range(times):
        with pytest.raises(ProxyError) as caught:
            await isolate.complete(**routing)
        errors.append(caught.value)
    return errors


async def failing_streams(isolate: Isolate, times: int = 6, **routing: Any) -> list[ProxyError]:
    errors = []
    for _ in range(times):
        with pytest.raises(ProxyError) as caught:
            await streamed(isolate, **routing)
        errors.append(caught.value)
    return errors

"""Which providers and models an isolate leaves alone, and what answers tell of their limits."""

from collections.abc import Mapping

from msgspec import structs

from proxy.core.errors import Fault
from proxy.core.permit import Refusal
from proxy.core.ports import Clock
from proxy.limits.adaptive import signal_of
from proxy.limits.capacity import Signal
from proxy.limits.scopes import scope_of, scopes_of
from proxy.limits.wording import asked_for_quiet

SIGNAL_SECONDS = 5.0
"""How often an isolate tells a provider's pool what is no 429."""
LONGEST_CLOSED = 3600.0
"""Seconds for which a provider's Retry-After is believed at most."""
EXHAUSTED_SECONDS = 60.0
"""For how long an account that is used up is left alone where its provider names no time."""
CLOSED = 1_000
"""How many scopes an isolate knows to be closed, and to have been reported lately, at most."""


class Quiet:
    """What this isolate has heard from the providers themselves."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._closed: dict[tuple[str, str], float] = {}
        self._noted: dict[tuple[str, str], float] = {}

    def closed(self, provider: str, model: str) -> Refusal | None:
        """Whether the provider asked for quiet, altogether or for the model, as far as this
        isolate knows."""
        now = self._clock.now()
        closed = ((self._closed.get((provider, scope), 0), scope) for scope in scopes_of(model))
        until, scope = max(closed)
        if until <= now:
            return None
        return Refusal(
            limit=f"provider:{provider}",
            message=asked_for_quiet(provider, scope, until - now),
            retry_after=until - now,
        )

    def reopen(self, provider: str) -> None:
        """Forgets that a provider asked for quiet, for whichever models."""
        self._closed = {at: until for at, until in self._closed.items() if at[0] != provider}

    def note(self, provider: str, signal: Signal) -> bool:
        """Obeys what a provider said; whether the other isolates are to hear of it too."""
        at, now = (provider, signal.scope), self._clock.now()
        if signal.limited and signal.wait:
            until = now + min(signal.wait, LONGEST_CLOSED)
            _keep(self._closed, at, max(until, self._closed.get(at, 0)))
        news = signal.limited or now - self._noted.get(at, 0) >= SIGNAL_SECONDS
        if news:
            _keep(self._noted, at, now)
        return news


def signal_from(
    model: str, headers: Mapping[str, str], fault: Fault | None, now: int
) -> Signal | None:
    """What an answer tells of its provider's limits. fault: what it means, if it is no success; a
    429 about the request itself, such as its size, is none of `rate_limited`, and one of a vendor
    that the caller chose limits nobody else. now: ms."""
    if fault is None or fault.kind != "rate_limited" or fault.blame == "caller":
        signal = signal_of(200, headers, now)
        return signal and structs.replace(signal, scope=model)
    signal = signal_of(429, headers, now) or Signal(limited=True)
    wait = signal.retry_after
    if wait is None and signal.remaining is None:
        wait = fault.retry_after
    if wait is None and fault.quota == "exhausted":
        wait = EXHAUSTED_SECONDS
    return structs.replace(signal, scope=scope_of(fault.quota, model), retry_after=wait)


def _keep(moments: dict[tuple[str, str], float], at: tuple[str, str], moment: float) -> None:
    """Callers may name any models: beyond CLOSED the earliest moments are forgotten."""
    moments[at] = moment
    if len(moments) > CLOSED:
        for earliest in sorted(moments, key=lambda each: moments[each])[: CLOSED // 10]:
            del moments[earliest]

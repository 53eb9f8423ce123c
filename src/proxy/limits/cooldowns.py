"""Which providers and models an isolate leaves alone, since they said so."""

from proxy.core.permit import Refusal
from proxy.core.ports import Clock
from proxy.core.scopes import find_scopes
from proxy.limits.pool_messages import Signal
from proxy.limits.refusals import refuse_closed

REPORT_SECONDS = 5.0
"""How often an isolate reports to a provider's pool what is no 429."""
LONGEST = 3600.0
"""Seconds for which a provider's Retry-After is believed at most."""
SCOPES = 1_000
"""How many scopes an isolate knows to be closed, and to have been reported lately, at most."""


class Cooldowns:
    """What this isolate has heard from the providers themselves."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._closed_until: dict[tuple[str, str], float] = {}
        self._reported_at: dict[tuple[str, str], float] = {}

    def find_refusal(self, provider: str, model: str) -> Refusal | None:
        """Whether the provider is to be left alone, altogether or for the model, as far as this
        isolate knows."""
        if not self._closed_until:
            return None
        now = self._clock.now()
        until, scope = max(
            (self._closed_until.get((provider, scope), 0.0), scope) for scope in find_scopes(model)
        )
        return refuse_closed(provider, scope, until - now) if until > now else None

    def clear(self, provider: str) -> None:
        """Forgets that a provider is to be left alone, for whichever models."""
        closed = self._closed_until.items()
        self._closed_until = {key: until for key, until in closed if key[0] != provider}

    def record(self, provider: str, signal: Signal) -> bool:
        """Obeys a provider; whether its pool, and so the other isolates, are to hear of it."""
        key, now = (provider, signal.scope), self._clock.now()
        if signal.limited and signal.wait:
            until = now + min(signal.wait, LONGEST)
            _keep(self._closed_until, key, max(until, self._closed_until.get(key, 0)))
        is_news = signal.limited or now - self._reported_at.get(key, 0) >= REPORT_SECONDS
        if is_news:
            _keep(self._reported_at, key, now)
        return is_news


def _keep(moments: dict[tuple[str, str], float], key: tuple[str, str], moment: float) -> None:
    """Callers may name any models: beyond SCOPES the earliest moments are forgotten."""
    moments[key] = moment
    if len(moments) > SCOPES:
        for earliest in sorted(moments, key=lambda each: moments[each])[: SCOPES // 10]:
            del moments[earliest]

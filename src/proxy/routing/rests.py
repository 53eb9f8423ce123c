"""Which keys of a pool rest since they met a 429, for which models, and until when.

Moments and durations are whole milliseconds. A clock that is set back prolongs no rest.
"""

from collections.abc import Iterable

from msgspec import Struct

FIRST_REST_MS = 1_000
"""Where the provider names no time; each next one is twice as long, until the key was awake for
LONGEST_GUESS_MS."""
LONGEST_GUESS_MS = 60_000
LONGEST_REST_MS = 3_600_000
"""For how long a provider's word is believed at most."""
MOST_RESTS = 1_000
"""Rests that a pool knows at most: callers may name any models."""


class _Rest(Struct):
    since: int
    until: int
    guess: int
    """The last guessed length; 0: the provider has named the time."""


class Rests:
    """The rests of one pool's keys, by the key's number and a scope of core.scopes."""

    def __init__(self) -> None:
        self._rests: dict[tuple[int, str], _Rest] = {}

    def begin(self, number: int, scope: str, told_ms: int | None, now: int) -> None:
        """Has a key rest, for as long as its provider says; None or 0: it says nothing. Answers
        that were under way when the rest began make it no longer by themselves."""
        last = self._rests.pop((number, scope), None)
        if last:
            self._settle(last, now)
        guess = 0 if told_ms else self._guess(last, now)
        length = min(told_ms, LONGEST_REST_MS) if told_ms else guess
        until = max(now + length, last.until if last else 0)
        if len(self._rests) >= MOST_RESTS:
            self._forget(now)
        self._rests[number, scope] = _Rest(now, until, guess)

    def until(self, number: int, scopes: Iterable[str], now: int) -> int:
        """The moment at which a key wakes for requests in all of these scopes; 0: it is awake."""
        if not self._rests:
            return 0
        found = [rest for scope in scopes if (rest := self._rests.get((number, scope)))]
        for rest in found:
            self._settle(rest, now)
        return max((rest.until for rest in found if rest.until > now), default=0)

    def by_scope(self, number: int, now: int) -> dict[str, int]:
        """When a key wakes, by scope, for as far as it rests."""
        mine = [(scope, rest) for (n, scope), rest in self._rests.items() if n == number]
        for _, rest in mine:
            self._settle(rest, now)
        return {scope: rest.until for scope, rest in mine if rest.until > now}

    def clear(self) -> None:
        """Wakes all."""
        self._rests.clear()

    @staticmethod
    def _settle(rest: _Rest, now: int) -> None:
        """A clock that was set back takes what was planned with it."""
        if now < rest.since:
            rest.until -= rest.since - now
            rest.since = now

    @staticmethod
    def _guess(last: _Rest | None, now: int) -> int:
        if last is None or now - last.until >= LONGEST_GUESS_MS:
            return FIRST_REST_MS
        if now < last.until:
            return last.guess or FIRST_REST_MS
        return min(max(FIRST_REST_MS, 2 * last.guess), LONGEST_GUESS_MS)

    def _forget(self, now: int) -> None:
        """Makes room for a tenth: the earliest to wake go first."""
        rising = sorted(self._rests, key=lambda each: self._rests[each].until)
        for each in rising[: MOST_RESTS // 10]:
            del self._rests[each]

"""All breakers of an isolate, by provider, by key and by model."""

from collections.abc import Callable, Mapping

from msgspec import Struct

from proxy.core.errors import Outcome
from proxy.routing.breaker import Breaker, BreakerView, Ticket, Transition, Verdict, judge

MODELS = 1_000
"""Names that are kept at most of each sort; callers may name models that don't exist."""
LONGEST = 200
"""Characters of a name `provider/model` that is kept."""


def name_key(provider: str, number: int) -> str:
    """The name of the breaker of one of a provider's keys; empty: it has but one."""
    return f"{provider}#{number}" if number else ""


class Admission(Struct, frozen=True):
    """A call under way, to be reported."""

    provider: str
    model: str
    key: str
    """The name of the key's breaker; empty: the provider has no other key."""
    tickets: tuple[Ticket, ...]
    """The provider's breaker's, the model's and the key's, where it has one."""


class Breakers:
    """The breakers by `provider`, by `provider#number` for one of several keys, and by
    `provider/model`; a provider's name has neither sign.

    Of each sort at most MODELS are kept: beyond, the closed one is forgotten that has not been
    used for longest, or the open one where none is closed. random: gives numbers in [0, 1).
    slow_ms: from how long on the first content of a stream is a bad sign; None: never.
    """

    def __init__(self, random: Callable[[], float], slow_ms: int | None = None) -> None:
        self._random = random
        self._slow_ms = slow_ms
        self._providers: dict[str, Breaker] = {}
        """The least recently used first, as in `_models`."""
        self._models: dict[str, Breaker] = {}
        self._changed: dict[str, None] = {}
        """The names whose last transition is this isolate's own and not taken yet."""
        self.open: set[str] = set()
        """The names of those that are not closed."""

    def openness(self, provider: str, model: str, now: int) -> int:
        """0 if a call may go, otherwise greater the less there is to hope for (Breaker.openness).
        Nothing may be awaited between this and `begin`, or two calls go as the probe."""
        own, its = self._providers.get(provider), self._models.get(f"{provider}/{model}")
        return max(own.openness(now) if own else 0, its.openness(now) if its else 0)

    def openness_of(self, name: str, now: int) -> int:
        """The same of one breaker alone."""
        breaker = self._table(name).get(name)
        return breaker.openness(now) if breaker else 0

    def begin(self, provider: str, model: str, now: int, key: str = "") -> Admission:
        """Lets a call go. It must be reported, whatever becomes of it. key: the name of its key's
        breaker, where the provider has several."""
        own = self._use(self._providers, provider)
        its = self._use(self._models, f"{provider}/{model}")
        tickets: tuple[Ticket, ...] = own.begin(now), its.begin(now)
        if key:
            tickets += (self._use(self._providers, key).begin(now),)
        return Admission(provider, model, key, tickets)

    def report(
        self,
        call: Admission,
        outcome: Outcome,
        now: int,
        *,
        ms: int | None = None,
        key_refused: bool = False,
    ) -> None:
        """Takes a call's end. ms: until a stream's first content, None for any other call.
        key_refused: whether its key is to be set aside."""
        slow = ms is not None and self._slow_ms is not None and ms >= self._slow_ms
        verdicts: tuple[Verdict, ...] = judge(outcome, slow=slow)
        names: tuple[str, ...] = call.provider, f"{call.provider}/{call.model}"
        if call.key:
            names += (call.key,)
            used: Verdict = "ok" if outcome.kind == "ok" else "neutral"
            verdicts += ("misconfigured" if key_refused else used,)
        tables = self._providers, self._models, self._providers
        for table, name, ticket, verdict in zip(
            tables[: len(names)], names, call.tickets, verdicts, strict=True
        ):
            breaker = table.get(name)
            if breaker and breaker.report(ticket, verdict, now):
                self._note_change(name, breaker)

    def take_changes(self) -> dict[str, Transition]:
        """Takes this isolate's own transitions since the last time, by name. Where one is lost on
        the way, the other isolates find out by themselves."""
        names, self._changed = self._changed, {}
        return {name: last for name in names if (last := self._table(name)[name].last)}

    def adopt(self, transitions: Mapping[str, Transition], now: int) -> None:
        """Follows other isolates' transitions where they are newer. The closing of a breaker that
        is unknown here is passed over, and what has too long a name."""
        for name, transition in transitions.items():
            table = self._table(name)
            if len(name) > LONGEST or (name not in table and not transition.open_until):
                continue
            breaker = self._use(table, name)
            if breaker.adopt(transition, now):
                self._note_change(name, breaker)
                self._changed.pop(name, None)

    def view(self, name: str, now: int) -> BreakerView | None:
        """The state of one; None: it has never been used."""
        breaker = self._table(name).get(name)
        return breaker.view(now) if breaker else None

    def views(self, now: int) -> dict[str, BreakerView]:
        """The states of all, the providers first."""
        return {name: b.view(now) for name, b in (self._providers | self._models).items()}

    def reset(self, now: int, which: str | None = None) -> bool:
        """Closes those of a provider, its keys and models, or that of `provider/model` alone, or
        all, and forgets their counts. Returns whether there was one. Other isolates learn only of
        those that are known here: adopt what they know first."""
        found = False
        for name, breaker in (self._providers | self._models).items():
            if which in (None, name, name.partition("/")[0].partition("#")[0]):
                breaker.reset(now)
                self._note_change(name, breaker)
                found = True
        return found

    def _note_change(self, name: str, breaker: Breaker) -> None:
        """Notes that a breaker has opened or closed."""
        self._changed[name] = None
        if breaker.closed:
            self.open.discard(name)
        else:
            self.open.add(name)

    def _table(self, name: str) -> dict[str, Breaker]:
        return self._models if "/" in name else self._providers

    def _use(self, table: dict[str, Breaker], name: str) -> Breaker:
        """The breaker of that name, as the one used last; not kept where the name is too long."""
        breaker = table.pop(name, None) or Breaker(self._random)
        if len(name) > LONGEST:
            return breaker
        if len(table) >= MODELS:
            oldest = next((n for n, b in table.items() if b.closed), next(iter(table)))
            del table[oldest]
            self._changed.pop(oldest, None)
            self.open.discard(oldest)
        table[name] = breaker
        return breaker

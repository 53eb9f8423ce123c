"""Synthetic traffic: made up by chance from a seed, with patterns only where they are planted."""

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from proxy.analytics.insights.model import Observations, OpenedBreaker, Pair
from proxy.analytics.record.request_record import RequestRecord
from proxy.analytics.store.messages import Dimension, SumsGroup
from proxy.analytics.store.totals import Totals
from proxy.core.chat import Attempt, Usage

NOW = 1_764_100_000_000
DAY = 86_400
TTL = 3_600
A: Pair = ("gemini", "flash")
B: Pair = ("groq", "llama")
C: Pair = ("openai", "gpt")
USERS = ("ann", "bob", "cy", "dee")
PRICE = (100, 400)
"""Nano-dollars a token, in and out."""


class Prices:
    """All models are of one tier; `prices` are those that differ, None: not known."""

    def __init__(self, **prices: tuple[int, int] | None) -> None:
        self.prices = prices

    def price(self, provider: str, model: str, usage: Usage) -> int | None:
        price, cached = self.prices.get(provider, PRICE), usage.cached or 0
        if price is None:
            return None
        return (usage.input - cached) * price[0] + cached * price[0] // 4 + usage.output * price[1]

    def alternatives(self, provider: str, model: str) -> Sequence[Pair]:
        return [pair for pair in (A, B, C) if pair != (provider, model)]


def group_records(records: Sequence[RequestRecord], *by: Dimension) -> list[SumsGroup]:
    groups: defaultdict[tuple[str | int, ...], list[RequestRecord]] = defaultdict(list)
    for record in records:
        groups[tuple(getattr(record, name) for name in by)].append(record)
    sums = {values: Totals() for values in groups}
    for values, totals in sums.items():
        totals.count(groups[values])
    return [
        SumsGroup(key=dict(zip(by, values, strict=True)), totals=totals)
        for values, totals in sums.items()
    ]


def observe(records: Sequence[RequestRecord], past: Sequence[RequestRecord] = ()) -> dict[str, Any]:
    """What the shards would say of requests, and of those of the window before."""
    return {
        "users": group_records(records, "user"),
        "tried": group_records([r for r in records if r.model], "user"),
        "models": group_records(records, "provider", "model"),
        "past": group_records(past, "user"),
        "records": records,
        "repeats": records,
    }


@dataclass
class Traffic:
    """A window of traffic. What is a function may differ by what it is given."""

    seed: int
    requests: int = 4_000
    seconds: int = DAY
    users: dict[str, float] = field(default_factory=lambda: dict.fromkeys(USERS, 1.0))
    models: dict[Pair, float] = field(default_factory=lambda: {A: 1.0, B: 1.0, C: 1.0})
    prices: Prices = field(default_factory=Prices)
    rhythm: float = 0.0
    """How much the day and the night differ."""
    hits: Callable[[str, Pair], float] = lambda user, pair: 0.3
    faults: Callable[[Pair, float], float] = lambda pair, when: 0.02
    """By model and moment, a part of the window in [0, 1)."""
    fault: str = "unavailable"
    fallback: bool = True
    slow: Callable[[Pair, float], float] = lambda pair, when: 1.0
    sessions: int = 1
    """How many requests of a user come one after the other."""
    invalid: Callable[[str], float] = lambda user: 0.01
    limited: Callable[[str], float] = lambda user: 0.0
    returns: float = 0.0
    """The share of questions that come again,"""
    ages: tuple[float, float] = (1.5, 5.0)
    """so many hours later."""
    tokens: Callable[[Pair], float] = lambda pair: 1.0

    def __post_init__(self) -> None:
        self.random = Random(self.seed)
        self.user = ""
        self.recent: dict[tuple[str, Pair], RequestRecord] = {}
        self.old: list[RequestRecord] = []
        self.returned: list[RequestRecord] = []
        self.records = [self._make(number, when) for number, when in enumerate(self._moments())]

    def window(
        self, past: "Traffic | None" = None, openings: Sequence[OpenedBreaker] = ()
    ) -> Observations:
        return Observations(
            now=NOW,
            seconds=self.seconds,
            **observe(self.records, past.records if past else ()),
            ttl=TTL,
            market=self.prices,
            openings=openings,
        )

    def _moments(self) -> list[float]:
        def moment() -> float:
            while True:
                when = self.random.random()
                if self.random.random() < (1 + self.rhythm * math.sin(2 * math.pi * when)) / 2:
                    return when

        return sorted(moment() for _ in range(self.requests))

    def _make(self, number: int, when: float) -> RequestRecord:
        random = self.random
        if number % self.sessions == 0:
            self.user = random.choices(list(self.users), list(self.users.values()))[0]
        user = self.user
        pair = random.choices(list(self.models), list(self.models.values()))[0]
        at = NOW - round((1 - when) * self.seconds * 1000)
        common: dict[str, Any] = {
            "at": at,
            "id": f"{number:06}",
            "endpoint": "/v1/chat",
            "user": user,
        }
        chance = random.random()
        if chance < self.limited(user):
            return RequestRecord(
                status=429, ms=1, error="rate_limit_exceeded", source="proxy", **common
            )
        if chance > 1 - self.invalid(user):
            return RequestRecord(
                status=400, ms=1, error="invalid_request", source="proxy", **common
            )
        recent = self.recent.get((user, pair))
        fresh = recent and at - recent.at - recent.ms < TTL * 1000
        if recent and fresh and random.random() < self.hits(user, pair):
            return self._hit(recent, common)
        back = self._back(user, at)
        prompt = back.cache_key if back else f"{number:016x}"
        record = self._answered(pair, when, prompt, common)
        if back:
            self.returned.append(record)
        elif not record.has_failed:
            self.recent[user, (record.provider, record.model)] = record
            self.old.append(record)
        return record

    def _back(self, user: str, at: int) -> RequestRecord | None:
        if not self.returns or self.random.random() >= self.returns:
            return None
        least, most = (hours * 3_600_000 for hours in self.ages)
        for record in self.old:
            if record.user == user and least < at - record.at < most:
                self.old.remove(record)
                if self.recent.get((user, (record.provider, record.model))) is record:
                    continue
                return record
        return None

    def _hit(self, of: RequestRecord, common: dict[str, Any]) -> RequestRecord:
        return RequestRecord(
            status=200, ms=5, provider=of.provider, model=of.model,
            cache_status="hit", cache_tier="memory", cache_key=of.cache_key,
            input=0, output=0, cost=0, saved=of.cost or 0, **common,
        )  # fmt: skip

    def _answered(
        self, pair: Pair, when: float, prompt: str, common: dict[str, Any]
    ) -> RequestRecord:
        random = self.random
        attempts: list[Attempt] = []
        stream = random.random() < 0.5
        others = [other for other in self.models if other != pair]
        for tried in (pair, *others[: self.fallback]):
            median = (400 if stream else 1500) * self.slow(tried, when)
            ms = max(1, round(median * random.lognormvariate(0, 0.5)))
            failed = random.random() < self.faults(tried, when)
            outcome = self.fault if failed else "ok"
            attempts.append(Attempt(provider=tried[0], model=tried[1], outcome=outcome, ms=ms))
            if failed:
                continue
            tokens_in = round(300 * self.tokens(tried) * random.lognormvariate(0, 0.3))
            tokens_out = round(200 * self.tokens(tried) * random.lognormvariate(0, 0.3))
            usage = Usage(input=tokens_in, output=tokens_out)
            cost = self.prices.price(*tried, usage)
            return RequestRecord(
                status=200, ms=ms, provider=tried[0], model=tried[1], attempts=tuple(attempts),
                cache_status="miss", stream=stream, ended="ok" if stream else "", cache_key=prompt,
                first_ms=ms if stream else None, input=tokens_in, output=tokens_out, cost=cost,
                cost_origin="computed", **common,
            )  # fmt: skip
        return RequestRecord(
            status=502, ms=attempts[-1].ms, attempts=tuple(attempts), error="provider_error",
            source="provider", cache_status="miss", cache_key=prompt, **common,
        )  # fmt: skip

"""Every claim at its minimum sample, and silence just below it. Nothing here is left to chance."""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import pytest
from msgspec import structs

from proxy.analytics.insights import (
    breakers,
    cache,
    cost,
    errors,
    insights,
    providers,
    render,
    users,
)
from proxy.analytics.insights.model import Market, Opening, Pair, Seen
from proxy.analytics.insights.sampling import LEAST_PARTS, PARTS, Log
from proxy.analytics.record.request_record import RequestRecord
from proxy.analytics.store.figures import Group
from proxy.analytics.store.totals import Totals
from proxy.core.chat import Attempt, Blame
from tests.unit.analytics.traffic import DAY, NOW, TTL, A, B, C, Prices

Make = Callable[[int], dict[str, Any]]


def spread_out(count: int, make: Make, parts: int = PARTS) -> list[RequestRecord]:
    """Events evenly over so many parts of the day. make: what each has beside."""
    length = DAY * 1000 // PARTS
    base = {"endpoint": "/v1/chat", "status": 200, "ms": 10}
    return [
        RequestRecord(
            **{
                **base,
                "at": NOW - DAY * 1000 + n % parts * length + n // parts * 100,
                "id": f"{n}",
                **make(n),
            }
        )
        for n in range(count)
    ]


EDGES = spread_out(2, lambda n: {"id": f"edge{n}", "at": NOW - n * DAY * 1000, "ms": 1}, 1)
"""They make the log a day long."""


def seen(
    *events: list[RequestRecord], past: Sequence[Group] = (), market: Market | None = None
) -> Seen:
    all_ = [*EDGES, *(event for some in events for event in some)]
    return Seen(
        now=NOW,
        window=DAY,
        groups=grouped(all_),
        past=past,
        events=all_,
        ttl=TTL,
        market=market or Prices(),
    )


def grouped(events: list[RequestRecord]) -> list[Group]:
    groups = []
    for e in events:
        groups.append(Group(key={
            "provider": e.provider, "model": e.model, "user": e.user,
            "endpoint": e.endpoint, "status": e.status,
        }, totals=Totals()))  # fmt: skip
        groups[-1].totals.count([e])
    return groups


def rules(seen: Seen) -> set[str]:
    return {one.id.partition(":")[0] for one in insights(seen)}


def by(pair: Pair, **more: Any) -> dict[str, Any]:
    tried = Attempt(provider=pair[0], model=pair[1], outcome="ok", ms=more.pop("took", 10))
    return {"provider": pair[0], "model": pair[1], "attempts": (tried,), **more}


def cached(user: str, count: int, hits: bool, parts: int = PARTS) -> list[RequestRecord]:
    """All hits or all misses of a user."""
    kept = {"provider": "p", "model": "m", "user": user, "cache_status": "hit" if hits else "miss"}
    return spread_out(count, lambda n: {**kept, "id": f"{user}{n}"}, parts)


@pytest.mark.parametrize(
    ("count", "parts", "claimed"),
    [
        (cache.LOOKED_UP, LEAST_PARTS, True),
        (cache.LOOKED_UP - 1, PARTS, False),
        (cache.LOOKED_UP, LEAST_PARTS - 1, False),
    ],
)
def test_hit_rates(count: int, parts: int, claimed: bool) -> None:
    found = rules(seen(cached("ann", count, False, parts), cached("bob", 400, True)))
    assert ("cache.user" in found) is claimed


@pytest.mark.parametrize("missing", [0, 1])
def test_hits_of_a_longer_ttl(missing: int) -> None:
    def pairs(n: int) -> dict[str, Any]:
        at = NOW - DAY * 1000 + n // 2 * 60_000 + n % 2 * 2 * TTL * 1000
        return {**by(A, cost=5, output=1, cache_status="miss"), "cache_key": f"{n // 2}", "at": at}

    found = rules(seen(spread_out(2 * (cache.EXTRA_HITS - missing), pairs)))
    assert ("cache.longer_ttl" in found) == (not missing)


def questions(*ages: tuple[str, float]) -> list[RequestRecord]:
    """Forty questions, each asked so many hours after the day's begin, with what became of it."""

    def one(n: int) -> dict[str, Any]:
        status, hour = ages[n // 40]
        at = NOW - DAY * 1000 + round(hour * 3_600_000) + n % 40
        more = {"cost": 0, "saved": 5} if status == "hit" else {"cost": 5}
        return {**by(A, output=1, cache_status=status, **more), "cache_key": f"{n % 40}", "at": at}

    return spread_out(40 * len(ages), one)


def longer(*ages: tuple[str, float]) -> list[Any]:
    found = {one.id: one for one in insights(seen(questions(*ages)))}
    one = found.get("cache.longer_ttl")
    return [one.evidence[name] for name in ("longerTtl", "extraHits")] if one else []


def test_a_miss_within_the_ttl_has_another_reason() -> None:
    assert longer(("miss", 1), ("miss", 1.9)) == []
    assert longer(("miss", 1), ("miss", 2.1)) == [7200, 40]


def test_an_answer_that_stays_longer_is_older_later() -> None:
    """At 2.5 h it would be the answer of 1 h, at 3.4 h one that is too old for 2 h."""
    shown = ("miss", 1), ("miss", 2.5), ("hit", 3.4)
    assert longer(*shown) == [6 * 3600, 40]
    assert longer(("miss", 1), ("miss", 2.5), ("hit", 2.9)) == [7200, 40]


def test_what_failed_or_broke_off_is_not_kept() -> None:
    events = questions(("miss", 1), ("miss", 3))
    first = [event for event in events if event.at < NOW - DAY * 1000 + 2 * 3_600_000]
    rest = [event for event in events if event not in first]
    for change in ({"status": 502}, {"ended": "client_gone"}):
        broken = [structs.replace(event, **change) for event in first]
        assert rules(seen(broken, rest)) & {"cache.longer_ttl"} == set()


def test_the_shortest_ttl_that_brings_most_is_told() -> None:
    several = [("miss", 1.0), ("miss", 2.5), ("miss", 4.0), ("miss", 5.5)]
    # kept 2 h: two of them are hits; kept 6 h: three
    assert longer(*several) == [6 * 3600, 120]
    # another that only a day brings is too few to wait a day for
    late = [*several, ("miss", 6.8), ("miss", 13.0)]
    assert longer(*late) == [6 * 3600, 160]


@pytest.mark.parametrize("missing", [0, 1])
def test_tries_of_a_provider(missing: int) -> None:
    failing = Attempt(provider=B[0], model=B[1], outcome="timeout", ms=10)
    bad = {**by(A, cache_status="bypass"), "attempts": (failing, *by(A)["attempts"])}
    good = spread_out(providers.TRIED, lambda n: by(A, id=f"good{n}"))
    found = rules(seen(good, spread_out(providers.TRIED - missing, lambda n: bad)))
    assert ("provider.success" in found) == (not missing)


@pytest.mark.parametrize("outcome", ["bad_request", "too_large", "limited", "breaker_open"])
def test_what_is_no_fault_of_a_providers_is_not_held_against_it(outcome: str) -> None:
    passed = Attempt(provider=B[0], model=B[1], outcome=outcome, ms=0)
    events = spread_out(500, lambda n: {**by(A), "attempts": (passed, *by(A)["attempts"])})
    assert rules(seen(events, spread_out(500, lambda n: by(B, id=f"b{n}")))) == set()


@pytest.mark.parametrize("blame", ["caller", "proxy"])
def test_nor_is_what_the_caller_or_the_proxy_caused(blame: Blame) -> None:
    hasty = Attempt(provider=B[0], model=B[1], outcome="timeout", ms=9, blame=blame)
    events = spread_out(500, lambda n: {**by(A), "attempts": (hasty, *by(A)["attempts"])})
    assert rules(seen(events, spread_out(500, lambda n: by(B, id=f"b{n}")))) == set()


def test_nor_is_a_stream_that_the_callers_deadline_cut_off() -> None:
    cut = by(B, stream=True, ended="timeout", error="provider_timeout", source="proxy")
    events = spread_out(200, lambda n: {**cut, "id": f"b{n}"})
    assert "provider.success" not in rules(seen(events, spread_out(200, lambda n: by(A))))


def test_a_stream_that_broke_is_held_against_its_provider() -> None:
    broke = by(B, stream=True, ended="network", error="provider_error")
    events = spread_out(200, lambda n: {**broke, "id": f"b{n}"})
    assert "provider.success" in rules(seen(events, spread_out(200, lambda n: by(A))))


@pytest.mark.parametrize("metric", ["first_content", "answer", "cost"])
@pytest.mark.parametrize("missing", [0, 1])
def test_medians(metric: str, missing: int) -> None:
    def answers(pair: Pair, count: int, factor: int) -> list[RequestRecord]:
        more: dict[str, Any] = {"input": 9, "output": 9, "stream": metric == "first_content"}
        more |= {"cost": 7 * factor} if metric == "cost" else {"took": 400 * factor}
        return spread_out(count, lambda n: by(pair, id=f"{pair}{n}", **more))

    least = providers.MEASURED
    found = rules(seen(answers(A, least, 1), answers(B, least - missing, 9)))
    assert found == (set() if missing else {f"provider.{metric}"})


@pytest.mark.parametrize(("fast", "slow", "claimed"), [(30, 79, False), (30, 81, True)])
def test_milliseconds_that_nobody_feels(fast: int, slow: int, claimed: bool) -> None:
    tokens = {"input": 9, "output": 9}
    one = spread_out(200, lambda n: by(A, took=fast, **tokens))
    other = spread_out(200, lambda n: by(B, took=slow, id=f"b{n}", **tokens))
    assert ("provider.answer" in rules(seen(one, other))) is claimed


def test_models_of_which_no_tokens_are_known_are_not_compared() -> None:
    one = spread_out(200, lambda n: by(A, took=100))
    other = spread_out(200, lambda n: by(B, took=900, id=f"b{n}"))
    assert rules(seen(one, other)) == set()


def test_models_of_different_tiers_are_not_compared() -> None:
    class Apart(Prices):
        def alternatives(self, provider: str, model: str) -> Sequence[Pair]:
            return []

    tokens = {"input": 9, "output": 9}
    one = spread_out(200, lambda n: by(A, took=100, **tokens))
    other = spread_out(200, lambda n: by(B, took=900, id=f"b{n}", **tokens))
    assert rules(seen(one, other, market=Apart())) == set()
    same = spread_out(200, lambda n: by((B[0], A[1]), took=900, id=f"b{n}", **tokens))
    assert rules(seen(one, same, market=Apart())) == {"provider.answer"}


def asked(user: str, count: int, failed: int = 0, status: int = 400) -> list[RequestRecord]:
    wrong = {"status": status, "error": "wrong", "source": "proxy", "endpoint": f"/v1/{user}"}
    return spread_out(
        count, lambda n: {"user": user, "id": f"{user}{n}", **(wrong if n < failed else {})}
    )


@pytest.mark.parametrize("missing", [0, 1])
def test_errors_of_a_user(missing: int) -> None:
    mine = asked("ann", users.REQUESTS - missing, failed=50)
    found = rules(seen(mine, asked("bob", 1000)))
    assert ("user.errors" in found) == (not missing)


@pytest.mark.parametrize(
    ("requests", "refused", "claimed"),
    [
        (users.REQUESTS, users.LIMITED, True),
        (users.REQUESTS - 1, 99, False),
        (users.REQUESTS, users.LIMITED - 1, False),
    ],
)
@pytest.mark.parametrize("status", [402, 429])
def test_limits_of_a_user(requests: int, refused: int, claimed: bool, status: int) -> None:
    found = rules(seen(asked("ann", requests, refused, status)))
    assert found == ({"user.limits"} if claimed else set())


@pytest.mark.parametrize(
    ("now", "past", "claimed"),
    [
        (users.PAST * 8, users.PAST, True),
        (users.PAST * 8, users.PAST - 1, False),
        (users.PAST, users.PAST * 8, True),
        (users.PAST - 1, users.PAST * 8, False),
    ],
)
def test_changes_of_a_user(now: int, past: int, claimed: bool) -> None:
    found = rules(seen(asked("ann", now), past=grouped(asked("ann", past))))
    assert found == ({"user.change"} if claimed else set())


def test_a_user_that_grew_less_than_all_others_is_not_told_of() -> None:
    past = grouped([*asked("ann", 200), *asked("bob", 100)])
    found = insights(seen(asked("ann", 600), asked("bob", 3000), past=past))
    assert "user.change:ann" not in {one.id for one in found}


@pytest.mark.parametrize(
    ("most", "others", "claimed"),
    [
        (users.SHARED - 2, (1, 1), True),
        (users.SHARED - 3, (1, 1), False),
        (users.SHARED, (20,), False),
        (60, (100, 40), False),
    ],
)
def test_shares_of_users(most: int, others: tuple[int, ...], claimed: bool) -> None:
    rest = [asked(f"user{n}", count) for n, count in enumerate(others)]
    assert ("user.share" in rules(seen(asked("ann", most), *rest))) is claimed


def test_a_share_of_the_cost() -> None:
    dear = [
        RequestRecord(at=NOW, id="x", endpoint="/v1/chat", status=200, ms=1, user="ann", cost=99)
    ]
    found = rules(seen(dear, asked("bob", 100), asked("cy", 100)))
    assert found == {"user.share"}


@pytest.mark.parametrize("missing", [0, 1])
def test_answers_that_are_priced_elsewhere(missing: int) -> None:
    market = Prices(groq=(300, 1200))
    tokens: dict[str, Any] = {"input": 4000, "output": 1000, "cached": 1000}
    price = market.price(*B, input=4000, output=1000, cached=1000, reasoning=0)
    count = cost.ANSWERED - missing
    events = spread_out(count, lambda n: by(B, cost=price, cache_status="miss", **tokens))
    found = insights(seen(events, market=market))
    assert {one.id for one in found} == (set() if missing else {"cost.elsewhere:groq/llama"})
    for one in found:  # elsewhere nothing is taken for cached
        assert one.evidence["costElsewhere"] == pytest.approx(count * 800_000 / 1e9)


@pytest.mark.parametrize(
    "tokens", [{"input": 40, "output": 10}, {"input": 4000, "output": 1000, "cost": None}]
)
def test_a_trifle_or_an_unknown_cost_is_not_priced_elsewhere(tokens: dict[str, Any]) -> None:
    market = Prices(groq=(300, 1200))
    price = market.price(*B, cached=0, reasoning=0, input=tokens["input"], output=tokens["output"])
    events = spread_out(200, lambda n: by(B, cache_status="miss", **({"cost": price} | tokens)))
    assert rules(seen(events, market=market)) == set()


def test_an_alternative_without_a_price_is_none() -> None:
    market = Prices(groq=(300, 1200), gemini=None, openai=None)
    price = market.price(*B, input=4000, output=1000, cached=0, reasoning=0)
    tokens = {"input": 4000, "output": 1000, "cost": price, "cache_status": "miss"}
    assert rules(seen(spread_out(200, lambda n: by(B, **tokens)), market=market)) == set()


@pytest.mark.parametrize(
    ("failed", "others", "claimed"),
    [
        (errors.FAILED, errors.ASKED - errors.FAILED, True),
        (errors.FAILED - 1, errors.ASKED, False),
        (errors.FAILED, errors.ASKED - errors.FAILED - 3, False),
    ],
)
def test_failures_of_a_burst(failed: int, others: int, claimed: bool) -> None:
    def burst(n: int) -> dict[str, Any]:
        at = NOW - DAY * 501 + n * 1000
        return {"status": 503, "error": "no_provider_available", "at": at, "id": f"bad{n}"}

    found = rules(seen(spread_out(failed, burst), spread_out(others, lambda n: {})))
    assert found == ({"error.burst"} if claimed else set())


@pytest.mark.parametrize(("failed", "claimed"), [(errors.FAILED, True), (errors.FAILED - 1, False)])
def test_failures_that_are_steady(failed: int, claimed: bool) -> None:
    def some(n: int) -> dict[str, Any]:
        return {"status": 500, "error": "internal_error"} if n % 5 == 0 and n < 5 * failed else {}

    found = rules(seen(spread_out(5 * errors.FAILED, some, 23)))
    assert found == ({"error.steady"} if claimed else set())


@pytest.mark.parametrize("parts", [LEAST_PARTS - 3, LEAST_PARTS - 2])
def test_what_fails_in_few_parts_of_the_log_is_not_steady(parts: int) -> None:
    """The edges are two parts more."""
    events = spread_out(200, lambda n: {"status": 500, "error": "internal_error"}, parts + 1)
    found = rules(seen(events))
    assert found == ({"error.steady"} if parts + 2 >= LEAST_PARTS else set())


@pytest.mark.parametrize(
    ("count", "first", "claimed"),
    [
        (breakers.OPENED, NOW - DAY * 1000, True),
        (breakers.OPENED - 1, NOW - DAY * 1000, False),
        (breakers.OPENED, NOW - DAY * 1000 - 1, False),
        (breakers.OPENED, NOW - 1, False),
    ],
)
def test_openings_of_a_breaker(count: int, first: int, claimed: bool) -> None:
    openings = [
        Opening(name="groq", at=first + n, open_until=first + n + 5, reason="failed")
        for n in range(count)
    ]
    found = rules(Seen(now=NOW, window=DAY, groups=(), market=Prices(), openings=openings))
    assert found == ({"breaker.opened"} if claimed else set())


# --- errors in detail -------------------------------------------------------------------------


def minutes(*what: dict[str, Any]) -> list[RequestRecord]:
    """One event a minute, each with what is given for it."""
    start = NOW - len(what) * 60_000
    return spread_out(len(what), lambda n: {**what[n], "at": start + n * 60_000})


def errors_of(events: list[RequestRecord]) -> dict[str, Any]:
    found = insights(Seen(now=NOW, window=DAY, groups=(), events=events, market=Prices()))
    return {one.id.partition(":")[0]: one.evidence for one in found if one.kind == "error"}


GOOD = by(A)
BAD = {
    "status": 502,
    "error": "provider_error",
    "source": "provider",
    "attempts": (Attempt(provider=B[0], model=B[1], outcome="unavailable", ms=10),),
}


@pytest.mark.parametrize(("since", "goes_on"), [(0, 1), (4, 1), (5, 0), (100, 0)])
def test_a_burst_goes_on_until_that_is_improbable(since: int, goes_on: int) -> None:
    """Every other one fails: four good ones in a row are 1 in 16, five are 1 in 32."""
    half = [BAD, by(B)] * 30
    found = errors_of(minutes(*[by(B)] * 200, *half[:-1], *[by(B)] * since))
    assert found["error.burst"]["requests"] == 59
    assert found["error.burst"]["goesOn"] == goes_on


def test_requests_that_pass_a_provider_over_do_not_end_its_burst() -> None:
    passed = Attempt(provider=B[0], model=B[1], outcome="breaker_open", ms=0)
    over = {**GOOD, "attempts": (passed, *GOOD["attempts"])}
    found = errors_of(minutes(*[by(B)] * 200, *[BAD] * 30, *[over] * 100))
    assert found["error.burst"]["goesOn"] == 1
    assert found["error.burst"]["othersRequests"] == 200


def test_what_limits_refuse_is_no_error_but_a_providers_refusal_is() -> None:
    refused = {"status": 429, "error": "rate_limit_exceeded", "user": "ann"}
    for source, expected in (("proxy", set()), ("provider", {"error.burst"})):
        events = minutes(*[GOOD] * 200, *[{**refused, "source": source}] * 40, *[GOOD] * 99)
        assert errors_of(events).keys() == expected


def test_a_long_burst_is_not_told_as_steady_too() -> None:
    found = errors_of(minutes(*[by(B)] * 300, *[BAD] * 300, *[by(B)] * 300))
    assert found.keys() == {"error.burst"}
    assert found["error.burst"]["failed"] == 300


@pytest.mark.parametrize(("every", "claimed"), [(6, False), (4, True)])
def test_a_slight_rise_is_no_burst(every: int, claimed: bool) -> None:
    risen = [BAD if n % every == 0 else by(B) for n in range(40 * every)]
    found = errors_of(minutes(*[by(B)] * 3_000, *risen, *[by(B)] * 3_000))
    assert found.keys() == ({"error.burst"} if claimed else set())


def test_events_of_one_moment_have_an_order() -> None:
    events = [
        RequestRecord(at=5, id=f"{n}", endpoint="/v1/chat", status=200, ms=1) for n in range(9)
    ]
    assert Log(events[::-1]).events == Log(events).events


def test_only_requests_for_models_are_traffic() -> None:
    wrong = {"status": 401, "error": "authentication_failed", "endpoint": "/analytics"}
    events = minutes(*[GOOD] * 200, *[wrong] * 40, *[GOOD] * 200)
    assert errors_of(events) == {}
    asked = Seen(now=NOW, window=DAY, groups=(), events=events, market=Prices())
    assert msgspec.json.decode(render(asked, [], "1d"))["sample"]["logged"] == 400
    models = [structs.replace(event, endpoint="/v1/models") for event in events]
    assert errors_of(models).keys() == {"error.burst"}


# --- what one of many is compared with --------------------------------------------------------


def test_the_best_of_the_better_ones_is_named() -> None:
    tokens = {"input": 9, "output": 9}
    some = [
        spread_out(200, lambda n, p=p, t=t: by(p, took=t, id=f"{p}{n}", **tokens))
        for p, t in ((A, 400), (B, 200), (C, 1600))
    ]
    found = {one.id for one in insights(seen(*some))}
    assert found == {
        "provider.answer:openai/gpt>groq/llama",
        "provider.answer:gemini/flash>groq/llama",
    }


@pytest.mark.parametrize(
    ("every", "change", "claimed"),
    [(200, {"cost": None}, False), (3, {"input": None}, False), (201, {}, True)],
)
def test_all_tokens_and_costs_must_be_known(
    every: int, change: dict[str, Any], claimed: bool
) -> None:
    market = Prices(groq=(300, 1200))
    price = market.price(*B, input=4000, output=1000, cached=0, reasoning=0)
    tokens = by(B, input=4000, output=1000, cost=price, cache_status="miss")
    events = spread_out(200, lambda n: {**tokens, **(change if n % every == 0 else {})})
    assert rules(seen(events, market=market)) == ({"cost.elsewhere"} if claimed else set())

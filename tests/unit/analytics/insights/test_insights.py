"""Synthetic traffic: what is planted is found with its numbers, and nothing that isn't there."""

from collections.abc import Callable
from functools import cache
from itertools import pairwise
from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from proxy.analytics.insights import insights, render
from proxy.analytics.insights.model import Insight, Opening, Pair, Seen, duration, percent, usd
from tests.unit.analytics.traffic import NOW, A, B, C, Prices, Traffic

HOUR = 3_600_000


def only(seen: Seen) -> Insight:
    """The one insight that there is."""
    (one,) = insights(seen)
    return one


def ids(seen: Seen) -> set[str]:
    return {one.id for one in insights(seen)}


def evidence(one: Insight, *names: str) -> list[Any]:
    return [one.evidence[name] for name in names]


# --- what is planted is found -----------------------------------------------------------------


def test_a_user_whose_requests_miss() -> None:
    traffic = Traffic(1, hits=lambda user, pair: 0.05 if user == "ann" else 0.5)
    one = only(traffic.seen())
    assert (one.id, one.kind, one.severity) == ("cache.user:ann", "cache", "notice")
    asked = [e for e in traffic.events if e.user == "ann" and e.provider]
    hits = sum(e.cache_status == "hit" for e in asked)
    assert evidence(one, "answers", "hits") == [len(asked), hits]
    low, high = evidence(one, "differenceLow", "differenceHigh")
    assert -0.55 < low < -0.45 < high < -0.3
    assert one.confidence == 0.999
    assert one.title.startswith(f"The cache gave only {percent(hits / len(asked))} of ")


def test_a_model_whose_answers_are_kept_more_often() -> None:
    one = only(Traffic(2, hits=lambda user, pair: 0.7 if pair == B else 0.2).seen())
    assert (one.id, one.severity) == ("cache.model:groq/llama", "info")
    assert one.amount
    assert one.amount.value == pytest.approx(50, abs=5)


def test_questions_that_come_back_after_the_ttl() -> None:
    traffic = Traffic(3, returns=0.1)
    one = only(traffic.seen())
    good = [event for event in traffic.returned if event.provider]
    assert one.id == "cache.longer_ttl"
    assert evidence(one, "ttl", "longerTtl") == [3600, 6 * 3600]
    assert evidence(one, "extraHits", "repeatsOutsideTtl") == [len(traffic.returned)] * 2
    assert one.amount
    assert one.amount.value == pytest.approx(sum(event.cost or 0 for event in good) / 1e9)
    assert one.title.startswith("Had answers been kept for 6 hours instead of 60 minutes, ")
    assert one.confidence == 1


def test_of_the_longer_ttls_the_shortest_that_brings_most_is_told() -> None:
    assert only(Traffic(3, returns=0.1, ages=(1.2, 1.9)).seen()).evidence["longerTtl"] == 2 * 3600


def test_a_longer_ttl_is_no_longer_than_the_log_can_tell() -> None:
    seen = Traffic(3, returns=0.4, ages=(3, 5)).seen()
    late = [event for event in seen.events if event.at > NOW - 5.9 * HOUR]
    assert ids(seen) == {"cache.longer_ttl"}
    assert ids(structs.replace(seen, events=late)) == set()


def test_a_provider_that_fails_more_often_behind_a_fallback() -> None:
    traffic = Traffic(4, faults=lambda pair, when: 0.2 if pair == B else 0.01)
    one = only(traffic.seen())
    tried = [e for e in traffic.events if B in [(a.provider, a.model) for a in e.attempts]]
    answered = [e for e in tried if (e.provider, e.model) == B]
    assert one.id.startswith("provider.success:groq/llama<")
    assert evidence(one, "tried", "answered") == [len(tried), len(answered)]
    assert (one.severity, one.kind) == ("warning", "provider")
    assert evidence(one, "differenceLow")[0] > 0.1


def test_a_provider_that_takes_twice_as_long() -> None:
    seen = Traffic(5, slow=lambda pair, when: 2.0 if pair == C else 1.0).seen()
    first, whole = sorted(insights(seen), key=lambda one: one.id, reverse=True)
    assert first.id.startswith("provider.first_content:openai/gpt>")
    assert whole.id.startswith("provider.answer:openai/gpt>")
    assert evidence(first, "median")[0] == pytest.approx(800, rel=0.1)
    assert evidence(first, "betterMedian")[0] == pytest.approx(400, rel=0.1)
    assert evidence(whole, "median")[0] == pytest.approx(3000, rel=0.1)
    assert 1.25 < evidence(whole, "ratioLow")[0] < 2


def test_longer_answers_are_no_slower_provider() -> None:
    def more(pair: Pair) -> float:
        return 2.0 if pair == C else 1.0

    seen = Traffic(6, slow=lambda pair, when: more(pair), tokens=more).seen()
    assert insights(seen) == []


def test_a_dearer_provider_and_what_its_traffic_would_cost_elsewhere() -> None:
    traffic = Traffic(7, prices=Prices(openai=(300, 1200)))
    whole, each = insights(traffic.seen())
    events = [e for e in traffic.events if e.provider == "openai" and e.cache_status == "miss"]
    assert whole.id == "cost.elsewhere:openai/gpt"
    assert evidence(whole, "answers", "cheaper") == [len(events), "gemini/flash"]
    assert whole.amount
    cost = sum(event.cost or 0 for event in events) / 1e9
    assert whole.amount.value == pytest.approx(cost * 2 / 3)
    assert whole.evidence["cost"] == pytest.approx(cost)
    assert (whole.severity, whole.confidence) == ("notice", 1)
    assert each.id.startswith("provider.cost:openai/gpt>")
    assert evidence(each, "ratioLow")[0] == pytest.approx(3, rel=0.1)


def test_tokens_that_do_not_explain_the_cost_are_not_priced_elsewhere() -> None:
    traffic = Traffic(7, prices=Prices(openai=(300, 1200)))
    traffic.events = [
        structs.replace(e, input=None, output=None) if e.provider == "openai" else e
        for e in traffic.events
    ]
    assert ids(traffic.seen()) == set()


def test_a_price_that_is_not_known_claims_nothing() -> None:
    assert insights(Traffic(7, prices=Prices(openai=None)).seen()) == []


def test_a_user_whose_requests_fail() -> None:
    traffic = Traffic(8, invalid=lambda user: 0.2 if user == "bob" else 0.01)
    one = only(traffic.seen())
    mine = [e for e in traffic.events if e.user == "bob"]
    assert one.id == "user.errors:bob"
    assert evidence(one, "requests", "failed") == [len(mine), sum(e.failed for e in mine)]


def test_a_user_whom_limits_refuse() -> None:
    traffic = Traffic(9, limited=lambda user: 0.15 if user == "bob" else 0.0)
    one = only(traffic.seen())
    mine = [e for e in traffic.events if e.user == "bob"]
    assert one.id == "user.limits:bob"
    assert evidence(one, "requests", "refused") == [
        len(mine),
        sum(e.status == 429 for e in mine),
    ]


def test_a_user_who_asks_more_than_in_the_past() -> None:
    now = Traffic(10, users={"ann": 2.5, "bob": 1.0, "cy": 1.0, "dee": 1.0}, requests=5_500)
    one = only(now.seen(Traffic(11)))
    assert one.id == "user.change:ann"
    mine, all_ = sum(e.user == "ann" for e in now.events), len(now.events)
    assert evidence(one, "requests", "othersRequests") == [mine, all_ - mine]
    assert evidence(one, "factorLow")[0] > 1.5
    assert one.severity == "notice"
    down = only(Traffic(11).seen(now))
    assert (down.id, down.severity) == ("user.change:ann", "info")


def test_all_users_asking_more_is_no_users_change() -> None:
    assert insights(Traffic(12, requests=8_000).seen(Traffic(13, requests=2_000))) == []


def test_a_user_alone_is_held_against_its_own_past_only() -> None:
    alone = {"ann": 1.0}
    seen = Traffic(12, requests=4_000, users=alone).seen(Traffic(13, requests=1_000, users=alone))
    assert ids(seen) == {"user.change:ann"}


def test_a_user_with_most_of_the_traffic() -> None:
    users = {"ann": 6.0, "bob": 1.0, "cy": 1.0, "dee": 1.0}
    traffic = Traffic(14, users=users)
    one = only(traffic.seen(Traffic(15, users=users)))
    mine = sum(event.user == "ann" for event in traffic.events)
    assert one.id == "user.share:ann"
    assert evidence(one, "requests", "allRequests", "users") == [mine, 4_000, 4]


def outage(begin: float, end: float) -> Callable[[Pair, float], float]:
    return lambda pair, when: 0.9 if pair == B and begin <= when < end else 0.01


def test_an_outage_and_when_it_was() -> None:
    traffic = Traffic(16, faults=outage(0.4, 0.45), fallback=False)
    one = only(traffic.seen())
    begin, end = NOW - round(0.6 * 24 * HOUR), NOW - round(0.55 * 24 * HOUR)
    failed = [e for e in traffic.events if e.status == 502 and begin <= e.at < end]
    bad = [event for event in failed if event.attempts[-1].provider == "groq"]
    assert one.id.startswith("error.burst:502 provider_error at groq/llama on /v1/chat@")
    assert evidence(one, "begin", "end") == [bad[0].at, bad[-1].at]
    assert evidence(one, "failed", "goesOn") == [len(bad), 0]
    assert (one.kind, one.severity) == ("error", "notice")


def test_an_outage_that_goes_on() -> None:
    one = only(Traffic(16, faults=outage(0.93, 1.0), fallback=False).seen())
    assert one.evidence["goesOn"] == 1
    assert one.severity == "warning"
    assert " and goes on, " in one.title


def test_two_outages_are_two() -> None:
    def faults(pair: Pair, when: float) -> float:
        return max(outage(0.2, 0.25)(pair, when), outage(0.7, 0.75)(pair, when))

    found = insights(Traffic(17, faults=faults, fallback=False).seen())
    begins = sorted(evidence(one, "begin")[0] for one in found)
    assert [round((NOW - begin) / HOUR / 24, 1) for begin in begins] == [0.8, 0.3]


def test_one_outage_does_not_make_a_provider_less_reliable() -> None:
    found = ids(Traffic(18, faults=outage(0.4, 0.45)).seen())
    assert not [id_ for id_ in found if id_.startswith("provider.")]


def test_what_fails_all_the_time() -> None:
    traffic = Traffic(
        19, faults=lambda pair, when: 0.15 if pair == B else 0.14, fallback=False, models={B: 1.0}
    )
    one = only(traffic.seen())
    assert one.id == "error.steady:502 provider_error at groq/llama on /v1/chat"
    assert one.evidence["failed"] == sum(event.status == 502 for event in traffic.events)


def openings(name: str, *at: int, **more: Any) -> list[Opening]:
    return [
        Opening(name=name, at=NOW - HOUR * a, open_until=NOW - HOUR * a + 60_000, level=n + 1)
        if not more
        else Opening(name=name, at=NOW - HOUR * a, open_until=NOW - HOUR * a + 60_000, **more)
        for n, a in enumerate(at)
    ]


def test_a_breaker_that_opened_again_and_again() -> None:
    one = only(Traffic(20).seen(openings=openings("groq", 9, 5, 3)))
    assert one.id == "breaker.opened:groq"
    assert evidence(one, "openings", "level", "longestMs", "openNow") == [3, 3, 180_000, 0]
    assert evidence(one, "first", "last") == [NOW - 9 * HOUR, NOW - 3 * HOUR]
    assert (one.kind, one.severity) == ("breaker", "notice")
    assert " opened 3 times " in one.title


def test_a_breaker_that_is_open_is_a_warning() -> None:
    one = only(Traffic(20).seen(openings=openings("groq", 9, 5, 0, reason="failed")))
    assert (one.severity, one.evidence["openNow"], one.evidence["failed"]) == ("warning", 1, 3)
    assert one.evidence["longestMs"] == 120_000


@pytest.mark.parametrize("reason", ["misconfigured", "not_found"])
def test_a_key_that_is_refused_is_told_at_once(reason: str) -> None:
    one = only(Traffic(20).seen(openings=openings("groq", 9, reason=reason)))
    assert (one.severity, one.evidence[reason]) == ("warning", 1)
    assert " opened once " in one.title


# --- and nothing that isn't there -------------------------------------------------------------


def by_hour(seed: int, draw: Callable[[Random], float]) -> dict[Pair, list[float]]:
    random = Random(-1 - seed)
    return {pair: [draw(random) for _ in range(24)] for pair in (A, B, C)}


def moody(seed: int) -> Callable[[Pair, float], float]:
    """A slowness that every provider has in its own hours, none more than another."""
    hours = by_hour(seed, lambda random: random.lognormvariate(0, 0.4))
    return lambda pair, when: hours[pair][int(24 * when)]


def flaky(seed: int) -> Callable[[Pair, float], float]:
    """The same of faults: from none to a good many, by the hour."""
    hours = by_hour(seed, lambda random: random.betavariate(0.5, 9))
    return lambda pair, when: hours[pair][int(24 * when)]


CONTROLS: dict[str, dict[str, Any]] = {
    "plain": {},
    "day and night": {"rhythm": 0.9},
    "uneven": {
        "requests": 1_500,
        "users": {"ann": 8.0, "bob": 4.0, "cy": 4.0, "dee": 2.0},
        "models": {A: 6.0, B: 2.0, C: 1.0},
    },
    "few": {"requests": 400},
    "sessions": {"sessions": 40},
    "moods": {"requests": 1_500},
    "no fallback": {"fallback": False},
}


@pytest.mark.parametrize("control", CONTROLS)
def test_traffic_without_a_pattern_claims_nothing(control: str) -> None:
    """With all that is claimed holding at 95 %, two or three of 50 seeds might claim."""
    windows = []
    for seed in range(51):
        more = {"requests": 1_000} | CONTROLS[control]
        if control == "moods":
            more |= {"slow": moody(seed), "faults": flaky(seed)}
        windows.append(Traffic(seed, **more))
    claims = [one.title for past, now in pairwise(windows) for one in insights(now.seen(past))]
    assert claims == []


def test_nothing_seen_claims_nothing() -> None:
    assert insights(Traffic(1, requests=0).seen(Traffic(2, requests=0))) == []


# --- the report -------------------------------------------------------------------------------


@cache
def everything() -> Seen:
    """Much that is to be found, at once, of moments that are often the same."""
    traffic = Traffic(
        21,
        requests=3_000,
        hits=lambda user, pair: 0.05 if user == "ann" else 0.5,
        faults=outage(0.6, 0.7),
        fallback=False,
        slow=lambda pair, when: 2.0 if pair == C else 1.0,
        returns=0.1,
        invalid=lambda user: 0.2 if user == "bob" else 0.01,
        limited=lambda user: 0.15 if user == "cy" else 0.0,
        prices=Prices(openai=(300, 1200)),
    )
    minutes = [structs.replace(e, at=e.at // 60_000 * 60_000) for e in traffic.events]
    seen = traffic.seen(Traffic(22, requests=1_000), openings("groq", 9, 5, 3))
    return structs.replace(seen, events=minutes)


def test_the_most_important_comes_first() -> None:
    found = insights(everything())
    ranks = [("warning", "notice", "info").index(one.severity) for one in found]
    assert ranks == sorted(ranks)
    assert {one.kind for one in found} == {"breaker", "error", "provider", "user", "cost", "cache"}
    assert len({one.id for one in found}) == len(found)
    assert all(0.95 <= one.confidence <= 1 for one in found)


@settings(max_examples=10, deadline=None)
@given(st.integers())
def test_the_order_of_what_is_given_does_not_matter(seed: int) -> None:
    random, seen = Random(seed), everything()
    mixed = {}
    for name in ("groups", "past", "events", "openings"):
        mixed[name] = list(getattr(seen, name))
        random.shuffle(mixed[name])
    assert insights(structs.replace(seen, **mixed)) == insights(seen)


def test_the_report_is_that_of_the_interface() -> None:
    seen = everything()
    found = insights(seen)
    told = msgspec.json.decode(render(seen, found, "1d"))
    assert set(told) == {"window", "sample", "insights"}
    assert (told["window"], told["sample"]) == ("1d", {"requests": 3_000, "logged": 3_000})
    assert len(told["insights"]) == len(found)
    for one, insight in zip(told["insights"], found, strict=True):
        assert set(one) == {
            "id", "kind", "severity", "title", "amount", "confidence", "evidence",
        }  # fmt: skip
        assert set(one["amount"]) == {"value", "unit"}
        assert one["evidence"] == insight.evidence
        assert None not in one["evidence"].values()


def test_a_weak_claim_is_told_with_less_confidence() -> None:
    levels = {
        one.confidence
        for seed in range(12)
        for one in insights(Traffic(seed, slow=lambda p, w: 1.48 if p == C else 1.0).seen())
    }
    assert min(levels) == 0.95
    assert max(levels) > 0.95


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (percent(0.123), "12 %"),
        (percent(0.0123), "1.2 %"),
        (percent(0.5), "50 %"),
        (percent(0), "0 %"),
        (usd(1_234_567_000_000), "$1,234.57"),
        (usd(12_300), "$1.2e-05"),
        (usd(0), "$0.00"),
        (duration(30), "30 seconds"),
        (duration(3600), "60 minutes"),
        (duration(86400), "24 hours"),
        (duration(7 * 86400), "7 days"),
    ],
)
def test_numbers_are_for_people(words: str, expected: str) -> None:
    assert words == expected

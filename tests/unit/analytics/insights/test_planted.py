"""Synthetic traffic: what is planted is found with its numbers."""

import pytest
from msgspec import structs

from proxy.analytics.insights import find_insights
from proxy.analytics.insights.model import Pair
from proxy.analytics.insights.words import format_percent, format_period
from tests.unit.analytics.insights.planted import HOUR, evidence, ids, only, openings, outage
from tests.unit.analytics.traffic import NOW, B, C, Prices, Traffic


def test_a_user_whose_requests_miss() -> None:
    traffic = Traffic(1, hits=lambda user, pair: 0.05 if user == "ann" else 0.5)
    insight = only(traffic.window())
    assert (insight.id, insight.kind, insight.severity) == ("cache.user:ann", "cache", "notice")
    answered = [e for e in traffic.records if e.user == "ann" and e.provider]
    hits = sum(e.cache_status == "hit" for e in answered)
    assert evidence(insight, "answers", "hits") == [len(answered), hits]
    low, high = evidence(insight, "differenceLow", "differenceHigh")
    assert -0.55 < low < -0.45 < high < -0.3
    assert insight.confidence == 0.999
    assert insight.title.startswith(
        f"The cache gave only {format_percent(hits / len(answered))} of "
    )


def test_a_model_whose_answers_are_kept_more_often() -> None:
    insight = only(Traffic(2, hits=lambda user, pair: 0.7 if pair == B else 0.2).window())
    assert (insight.id, insight.severity) == ("cache.model:groq/llama", "info")
    assert insight.amount
    assert insight.amount.value == pytest.approx(50, abs=5)


def test_questions_that_come_back_after_the_ttl() -> None:
    traffic = Traffic(3, returns=0.1)
    insight = only(traffic.window())
    good = [record for record in traffic.returned if record.provider]
    assert insight.id == "cache.longer_ttl"
    assert evidence(insight, "ttl", "longerTtl") == [3600, 6 * 3600]
    assert evidence(insight, "extraHits", "repeatsOutsideTtl") == [len(traffic.returned)] * 2
    assert insight.amount
    assert insight.amount.value == pytest.approx(sum(record.cost or 0 for record in good) / 1e9)
    assert insight.title.startswith("Had answers been kept for 6 hours instead of 60 minutes, ")
    assert insight.confidence == 1


def test_of_the_longer_ttls_the_shortest_that_brings_most_is_named() -> None:
    assert only(Traffic(3, returns=0.1, ages=(1.2, 1.9)).window()).evidence["longerTtl"] == 2 * 3600


def test_a_longer_ttl_is_no_longer_than_the_log() -> None:
    window = Traffic(3, returns=0.4, ages=(3, 5)).window()
    late = [record for record in window.records if record.at > NOW - 5.9 * HOUR]
    assert ids(window) == {"cache.longer_ttl"}
    assert ids(structs.replace(window, records=late, repeats=late)) == set()


def test_a_provider_that_fails_more_often_behind_a_fallback() -> None:
    traffic = Traffic(4, faults=lambda pair, when: 0.2 if pair == B else 0.01)
    insight = only(traffic.window())
    tried = [e for e in traffic.records if B in [(a.provider, a.model) for a in e.attempts]]
    answered = [e for e in tried if (e.provider, e.model) == B]
    assert insight.id.startswith("provider.success:groq/llama<")
    assert evidence(insight, "tried", "answered") == [len(tried), len(answered)]
    assert (insight.severity, insight.kind) == ("warning", "provider")
    assert evidence(insight, "differenceLow")[0] > 0.1


def test_a_provider_that_takes_twice_as_long() -> None:
    window = Traffic(5, slow=lambda pair, when: 2.0 if pair == C else 1.0).window()
    first, whole = sorted(find_insights(window), key=lambda insight: insight.id, reverse=True)
    assert first.id.startswith("provider.first_content:openai/gpt>")
    assert whole.id.startswith("provider.answer:openai/gpt>")
    assert evidence(first, "median")[0] == pytest.approx(800, rel=0.1)
    assert evidence(first, "betterMedian")[0] == pytest.approx(400, rel=0.1)
    assert evidence(whole, "median")[0] == pytest.approx(3000, rel=0.1)
    assert 1.25 < evidence(whole, "ratioLow")[0] < 2


def test_longer_answers_are_no_slower_provider() -> None:
    def more(pair: Pair) -> float:
        return 2.0 if pair == C else 1.0

    window = Traffic(6, slow=lambda pair, when: more(pair), tokens=more).window()
    assert find_insights(window) == []


def test_a_dearer_provider_and_what_its_traffic_would_cost_elsewhere() -> None:
    traffic = Traffic(7, prices=Prices(openai=(300, 1200)))
    whole, each = find_insights(traffic.window())
    records = [e for e in traffic.records if e.provider == "openai" and e.cache_status == "miss"]
    assert whole.id == "cost.elsewhere:openai/gpt"
    assert evidence(whole, "answers", "cheaper") == [len(records), "gemini/flash"]
    assert whole.amount
    cost = sum(record.cost or 0 for record in records) / 1e9
    assert whole.amount.value == pytest.approx(cost * 2 / 3)
    assert whole.evidence["cost"] == pytest.approx(cost)
    assert (whole.severity, whole.confidence) == ("notice", 1)
    assert each.id.startswith("provider.cost:openai/gpt>")
    assert evidence(each, "ratioLow")[0] == pytest.approx(3, rel=0.1)


def test_tokens_that_do_not_explain_the_cost_are_not_priced_elsewhere() -> None:
    traffic = Traffic(7, prices=Prices(openai=(300, 1200)))
    traffic.records = [
        structs.replace(e, input=None, output=None) if e.provider == "openai" else e
        for e in traffic.records
    ]
    assert ids(traffic.window()) == set()


def test_a_price_that_is_not_known_claims_nothing() -> None:
    assert find_insights(Traffic(7, prices=Prices(openai=None)).window()) == []


def test_a_user_whose_requests_fail() -> None:
    traffic = Traffic(8, invalid=lambda user: 0.2 if user == "bob" else 0.01)
    insight = only(traffic.window())
    mine = [e for e in traffic.records if e.user == "bob"]
    assert insight.id == "user.errors:bob"
    assert evidence(insight, "requests", "failed") == [len(mine), sum(e.has_failed for e in mine)]


def test_a_user_whom_limits_refuse() -> None:
    traffic = Traffic(9, limited=lambda user: 0.15 if user == "bob" else 0.0)
    insight = only(traffic.window())
    mine = [e for e in traffic.records if e.user == "bob"]
    assert insight.id == "user.limits:bob"
    assert evidence(insight, "requests", "refused") == [
        len(mine),
        sum(e.status == 429 for e in mine),
    ]


def test_a_user_who_asks_more_than_in_the_past() -> None:
    now = Traffic(10, users={"ann": 2.5, "bob": 1.0, "cy": 1.0, "dee": 1.0}, requests=5_500)
    insight = only(now.window(Traffic(11)))
    assert insight.id == "user.change:ann"
    mine, all_ = sum(e.user == "ann" for e in now.records), len(now.records)
    assert evidence(insight, "requests", "othersRequests") == [mine, all_ - mine]
    assert evidence(insight, "factorLow")[0] > 1.5
    assert insight.severity == "notice"
    down = only(Traffic(11).window(now))
    assert (down.id, down.severity) == ("user.change:ann", "info")


def test_all_users_asking_more_is_no_users_change() -> None:
    assert find_insights(Traffic(12, requests=8_000).window(Traffic(13, requests=2_000))) == []


def test_a_user_alone_is_held_against_its_own_past_only() -> None:
    alone = {"ann": 1.0}
    window = Traffic(12, requests=4_000, users=alone).window(
        Traffic(13, requests=1_000, users=alone)
    )
    assert ids(window) == {"user.change:ann"}


def test_a_user_with_most_of_the_traffic() -> None:
    users = {"ann": 6.0, "bob": 1.0, "cy": 1.0, "dee": 1.0}
    traffic = Traffic(14, users=users)
    insight = only(traffic.window(Traffic(15, users=users)))
    mine = sum(record.user == "ann" for record in traffic.records)
    assert insight.id == "user.share:ann"
    assert evidence(insight, "requests", "allRequests", "users") == [mine, 4_000, 4]


def test_an_outage_and_when_it_was() -> None:
    traffic = Traffic(16, faults=outage(0.4, 0.45), fallback=False)
    insight = only(traffic.window())
    begin, end = NOW - round(0.6 * 24 * HOUR), NOW - round(0.55 * 24 * HOUR)
    failed = [e for e in traffic.records if e.status == 502 and begin <= e.at < end]
    bad = [record for record in failed if record.attempts[-1].provider == "groq"]
    assert insight.id.startswith("error.burst:502 provider_error at groq/llama on /v1/chat@")
    assert evidence(insight, "begin", "end") == [bad[0].at, bad[-1].at]
    assert evidence(insight, "failed", "goesOn") == [len(bad), 0]
    assert (insight.kind, insight.severity) == ("error", "notice")
    assert insight.period == format_period(bad[0].at, bad[-1].at)
    assert insight.period[1:] in insight.title


def test_an_outage_that_goes_on() -> None:
    insight = only(Traffic(16, faults=outage(0.93, 1.0), fallback=False).window())
    assert insight.evidence["goesOn"] == 1
    assert insight.severity == "warning"
    assert ", and it goes on, " in insight.title
    assert insight.title.startswith("Since 20")
    assert insight.action.startswith("Look at groq in /health/providers")


def test_two_outages_are_two() -> None:
    def faults(pair: Pair, when: float) -> float:
        return max(outage(0.2, 0.25)(pair, when), outage(0.7, 0.75)(pair, when))

    found = find_insights(Traffic(17, faults=faults, fallback=False).window())
    begins = sorted(evidence(insight, "begin")[0] for insight in found)
    assert [round((NOW - begin) / HOUR / 24, 1) for begin in begins] == [0.8, 0.3]


def test_one_outage_does_not_make_a_provider_less_reliable() -> None:
    found = ids(Traffic(18, faults=outage(0.4, 0.45)).window())
    assert not [id_ for id_ in found if id_.startswith("provider.")]


def test_what_fails_all_the_time() -> None:
    traffic = Traffic(
        19, faults=lambda pair, when: 0.15 if pair == B else 0.14, fallback=False, models={B: 1.0}
    )
    insight = only(traffic.window())
    assert insight.id == "error.steady:502 provider_error at groq/llama on /v1/chat"
    assert insight.evidence["failed"] == sum(record.status == 502 for record in traffic.records)


def test_a_breaker_that_opened_again_and_again() -> None:
    insight = only(Traffic(20).window(openings=openings("groq", 9, 5, 3)))
    assert insight.id == "breaker.opened:groq"
    assert evidence(insight, "openings", "level", "longestMs", "openNow") == [3, 3, 180_000, 0]
    assert evidence(insight, "first", "last") == [NOW - 9 * HOUR, NOW - 3 * HOUR]
    assert (insight.kind, insight.severity) == ("breaker", "notice")
    assert " opened 3 times " in insight.title


def test_a_breaker_that_is_open_is_a_warning() -> None:
    insight = only(Traffic(20).window(openings=openings("groq", 9, 5, 0, reason="failed")))
    assert (insight.severity, insight.evidence["openNow"], insight.evidence["failed"]) == (
        "warning",
        1,
        3,
    )
    assert insight.evidence["longestMs"] == 120_000


@pytest.mark.parametrize("reason", ["misconfigured", "not_found"])
def test_a_key_that_is_refused_is_an_insight_at_once(reason: str) -> None:
    insight = only(Traffic(20).window(openings=openings("groq", 9, reason=reason)))
    assert (insight.severity, insight.evidence[reason]) == ("warning", 1)
    assert f" opened once {format_period(NOW - 9 * HOUR, NOW - 9 * HOUR)}, " in insight.title
    assert insight.action

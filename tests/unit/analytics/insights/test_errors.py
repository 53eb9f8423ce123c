"""Every claim about errors at its minimum sample; and what a burst is."""

from typing import Any

import msgspec
import pytest
from msgspec import structs

from proxy.analytics.insights import (
    errors,
    find_insights,
    render_insights,
)
from proxy.analytics.insights.model import Observations
from proxy.analytics.insights.sampling import LEAST_PARTS, Timeline
from proxy.analytics.record.request_record import RequestRecord
from proxy.core.chat import Attempt
from tests.unit.analytics.insights.making import by, rules, spread_out, window_of
from tests.unit.analytics.traffic import DAY, NOW, A, B, Prices


@pytest.mark.parametrize(
    ("failed", "others", "claimed"),
    [
        (errors.FAILED, errors.EXPOSED - errors.FAILED, True),
        (errors.FAILED - 1, errors.EXPOSED, False),
        (errors.FAILED, errors.EXPOSED - errors.FAILED - 3, False),
    ],
)
def test_failures_of_a_burst(failed: int, others: int, claimed: bool) -> None:
    def burst(n: int) -> dict[str, Any]:
        at = NOW - DAY * 501 + n * 1000
        return {"status": 503, "error": "no_provider_available", "at": at, "id": f"bad{n}"}

    found = rules(window_of(spread_out(failed, burst), spread_out(others, lambda n: {})))
    assert found == ({"error.burst"} if claimed else set())


@pytest.mark.parametrize(("failed", "claimed"), [(errors.FAILED, True), (errors.FAILED - 1, False)])
def test_failures_that_are_steady(failed: int, claimed: bool) -> None:
    def some(n: int) -> dict[str, Any]:
        return {"status": 500, "error": "internal_error"} if n % 5 == 0 and n < 5 * failed else {}

    found = rules(window_of(spread_out(5 * errors.FAILED, some, 23)))
    assert found == ({"error.steady"} if claimed else set())


@pytest.mark.parametrize("parts", [LEAST_PARTS - 3, LEAST_PARTS - 2])
def test_what_fails_in_few_parts_of_the_log_is_not_steady(parts: int) -> None:
    """The edges are two parts more."""
    records = spread_out(200, lambda n: {"status": 500, "error": "internal_error"}, parts + 1)
    found = rules(window_of(records))
    assert found == ({"error.steady"} if parts + 2 >= LEAST_PARTS else set())


def minutes(*what: dict[str, Any]) -> list[RequestRecord]:
    """One record a minute, each with what is given for it."""
    start = NOW - len(what) * 60_000
    return spread_out(len(what), lambda n: {**what[n], "at": start + n * 60_000})


def errors_of(records: list[RequestRecord]) -> dict[str, Any]:
    found = find_insights(Observations(now=NOW, seconds=DAY, records=records, market=Prices()))
    return {
        insight.id.partition(":")[0]: insight.evidence
        for insight in found
        if insight.kind == "error"
    }


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
        records = minutes(*[GOOD] * 200, *[{**refused, "source": source}] * 40, *[GOOD] * 99)
        assert errors_of(records).keys() == expected


def test_a_long_burst_is_not_a_steady_failure_too() -> None:
    found = errors_of(minutes(*[by(B)] * 300, *[BAD] * 300, *[by(B)] * 300))
    assert found.keys() == {"error.burst"}
    assert found["error.burst"]["failed"] == 300


@pytest.mark.parametrize(("every", "claimed"), [(6, False), (4, True)])
def test_a_slight_rise_is_no_burst(every: int, claimed: bool) -> None:
    risen = [BAD if n % every == 0 else by(B) for n in range(40 * every)]
    found = errors_of(minutes(*[by(B)] * 3_000, *risen, *[by(B)] * 3_000))
    assert found.keys() == ({"error.burst"} if claimed else set())


def test_requests_of_one_moment_have_an_order() -> None:
    records = [
        RequestRecord(at=5, id=f"{n}", endpoint="/v1/chat", status=200, ms=1) for n in range(9)
    ]
    assert Timeline(records[::-1]).records == Timeline(records).records


def test_only_requests_for_models_are_traffic() -> None:
    wrong = {"status": 401, "error": "authentication_failed", "endpoint": "/analytics"}
    records = minutes(*[GOOD] * 200, *[wrong] * 40, *[GOOD] * 200)
    assert errors_of(records) == {}
    window = Observations(now=NOW, seconds=DAY, records=records, market=Prices())
    assert msgspec.json.decode(render_insights(window, [], "1d"))["sample"]["logged"] == 400
    models = [structs.replace(record, endpoint="/v1/models") for record in records]
    assert errors_of(models).keys() == {"error.burst"}

"""Every claim about users and breakers at its minimum sample, and silence just below it."""

import pytest

from proxy.analytics.insights import (
    breakers,
    find_insights,
    users,
)
from proxy.analytics.insights.model import Observations
from proxy.analytics.record.request_record import RequestRecord
from proxy.routing.board import BreakerOpening
from tests.unit.analytics.insights.making import requests_of, rules, window_of
from tests.unit.analytics.traffic import DAY, NOW, Prices


@pytest.mark.parametrize("missing", [0, 1])
def test_errors_of_a_user(missing: int) -> None:
    mine = requests_of("ann", users.REQUESTS - missing, failed=50)
    found = rules(window_of(mine, requests_of("bob", 1000)))
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
    found = rules(window_of(requests_of("ann", requests, refused, status)))
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
    found = rules(window_of(requests_of("ann", now), past=requests_of("ann", past)))
    assert found == ({"user.change"} if claimed else set())


def test_a_user_that_grew_less_than_all_others_is_no_insight() -> None:
    past = [*requests_of("ann", 200), *requests_of("bob", 100)]
    found = find_insights(window_of(requests_of("ann", 600), requests_of("bob", 3000), past=past))
    assert "user.change:ann" not in {insight.id for insight in found}


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
    rest = [requests_of(f"user{n}", count) for n, count in enumerate(others)]
    assert ("user.share" in rules(window_of(requests_of("ann", most), *rest))) is claimed


def test_a_share_of_the_cost() -> None:
    dear = [
        RequestRecord(at=NOW, id="x", endpoint="/v1/chat", status=200, ms=1, user="ann", cost=99)
    ]
    found = rules(window_of(dear, requests_of("bob", 100), requests_of("cy", 100)))
    assert found == {"user.share"}


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
        BreakerOpening(name="groq", at=first + n, open_until=first + n + 5, reason="failed")
        for n in range(count)
    ]
    found = rules(Observations(now=NOW, seconds=DAY, market=Prices(), openings=openings))
    assert found == ({"breaker.opened"} if claimed else set())

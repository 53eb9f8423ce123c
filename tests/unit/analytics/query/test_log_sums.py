"""Sums of the request log."""

import pytest

from proxy.analytics.query.log_sums import choose_page, sum_pages, wants_log
from proxy.analytics.store.messages import SumsQuery
from proxy.analytics.store.shard import Shard
from proxy.core.chat import Attempt
from tests.unit.analytics.making import NOW, NOW_MS, make_flush, make_record
from tests.unit.analytics.shards import PlatformSQL

BEGIN = NOW - 600
FAILED = Attempt(provider="groq", model="m", outcome="unavailable", ms=1, blame="provider")


def test_only_the_window_counts_step_by_step() -> None:
    shard = Shard(PlatformSQL())
    times = (BEGIN - 1, BEGIN, BEGIN + 59, BEGIN + 60, NOW - 1, NOW)
    records = [make_record(at=at * 1000, session="s", cost=10**n) for n, at in enumerate(times)]
    shard.add(make_flush("a", 1, *records), NOW_MS)
    query = SumsQuery(resolution="minute", begin=BEGIN, end=NOW, step=60, group_by=("session",))
    groups = sum_pages(query, [shard.read_page(choose_page(query))]).groups
    assert {(g.at, g.totals.requests, g.totals.cost) for g in groups} == {
        (BEGIN, 2, 110),
        (BEGIN + 60, 1, 1000),
        (NOW - 60, 1, 10_000),
    }
    assert {g.key["session"] for g in groups} == {"s"}


def test_attempts_count_with_their_request() -> None:
    shard = Shard(PlatformSQL())
    served = Attempt(provider="openai", model="m", outcome="ok", ms=1)
    record = make_record(session="s", attempts=(FAILED, served), provider="openai", model="m")
    shard.add(make_flush("a", 1, record), NOW_MS)
    query = SumsQuery(resolution="minute", begin=BEGIN, end=NOW + 60, filters={"session": "s"})
    [group] = sum_pages(query, [shard.read_page(choose_page(query))]).groups
    totals = group.totals
    assert (totals.attempts, totals.failed_attempts, totals.fallbacks) == (2, 1, 1)


@pytest.mark.parametrize(
    ("query", "of_the_log"),
    [
        (SumsQuery(resolution="minute"), False),
        (SumsQuery(resolution="minute", group_by=("user",), filters={"model": "m"}), False),
        (SumsQuery(resolution="minute", group_by=("user", "session")), True),
        (SumsQuery(resolution="minute", filters={"session": "s"}), True),
    ],
)
def test_when_the_log_answers(query: SumsQuery, of_the_log: bool) -> None:
    assert wants_log(query) == of_the_log

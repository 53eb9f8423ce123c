"""The roll-ups against a recount from the events, whatever comes in which order."""

import random
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.analytics.record.names import OTHER
from proxy.analytics.record.request_record import RequestRecord
from proxy.analytics.store import rollup
from proxy.analytics.store.figures import Dimension, Flush, Key, Query, Span, Sums
from proxy.analytics.store.shard import Shard
from proxy.analytics.store.totals import Totals
from tests.unit.analytics.events import counted
from tests.unit.analytics.making import NOW, NOW_MS, ask, event, events, flush
from tests.unit.analytics.shards import PlatformSQL

DAY = 86400
DIMENSIONS: tuple[Dimension, ...] = ("provider", "model", "user", "endpoint", "status")


@st.composite
def queries(draw: st.DrawFn) -> Query:
    rows: list[tuple[Span, int]] = [("minute", 60), ("hour", 3600), ("day", DAY), ("ever", 1)]
    span, seconds = draw(st.sampled_from(rows))
    end = (NOW // seconds + 1) * seconds
    step = None if span == "ever" else draw(st.sampled_from([None, seconds, 7 * seconds]))
    only: dict[Dimension, Any] = draw(
        st.fixed_dictionaries(
            {},
            optional={
                "user": st.sampled_from(["ann", 'böb"; --', OTHER]),
                "status": st.sampled_from([200, 429]),
                "model": st.sampled_from(["small", "7"]),
            },
        )
    )
    return Query(
        span=span,
        begin=end - draw(st.integers(1, 40)) * seconds,
        end=end,
        step=step,
        group_by=tuple(draw(st.lists(st.sampled_from(DIMENSIONS), unique=True))),
        only=only,
        models_only=draw(st.booleans()),
    )


def recount(query: Query, told: Iterable[RequestRecord]) -> dict[tuple[Any, ...], Totals]:
    groups: dict[tuple[Any, ...], Totals] = {}
    for each in told:
        at = max(NOW - DAY, min(NOW, each.at // 1000)) // 60 * 60
        within = query.span == "ever" or query.begin <= at < query.end
        if not within or (query.models_only and not each.endpoint.startswith("/v1/")):
            continue
        step = None if query.step is None else at - (at - query.begin) % query.step
        for place, totals in counted(each):
            if all(getattr(place, name) == value for name, value in query.only.items()):
                key = (step, *(getattr(place, name) for name in query.group_by))
                groups.setdefault(key, Totals()).add(totals)
    return groups


def keyed(sums: Sums) -> dict[tuple[Any, ...], Totals]:
    found = {(group.at, *group.key.values()): group.totals for group in sums.groups}
    assert len(found) == len(sums.groups)
    return found


def flushes(told: list[RequestRecord], chance: random.Random) -> Iterator[tuple[int, Flush]]:
    """The events in flushes of several isolates, each told to its shard in order but often
    again, even after the next ones."""
    numbers = dict.fromkeys("abc", 0)
    past: list[tuple[int, Flush]] = []
    while told:
        isolate = chance.choice("abc")
        numbers[isolate] += 1
        size = chance.randrange(4)
        made = flush(isolate, numbers[isolate], *told[:size], lost=chance.randrange(2))
        del told[:size]
        past.append((ord(isolate) % 2, made))
        yield past[-1]
        while chance.random() < 0.4:
            yield chance.choice(past)


@given(st.lists(events, max_size=40), st.lists(queries(), max_size=4), st.integers(0, 2**32))
def test_figures_are_those_of_a_recount(
    told: list[RequestRecord], asked: list[Query], seed: int
) -> None:
    shards = [Shard(PlatformSQL()), Shard(PlatformSQL())]
    lost = {}
    for shard, made in flushes([*told], random.Random(seed)):
        shards[shard].add(made, NOW_MS)
        lost[made.isolate, made.number] = made.lost
    for query in asked:
        sums = ask(query, *shards)
        assert keyed(sums) == recount(query, told)
        assert sums.lost == sum(lost.values())
    asking = Query(span="ever", models_only=False)
    assert sum(group.totals.requests for group in ask(asking, *shards).groups) == len(told)


def test_a_shard_that_is_started_anew_goes_on() -> None:
    sql = PlatformSQL()
    first = Shard(sql)
    first.add(flush("a", 1, event(user="ann", model="m")), NOW_MS)
    again = Shard(sql)
    again.add(flush("a", 1, event(user="ann", model="m")), NOW_MS)
    again.add(flush("a", 2, event(user="ann", model="m")), NOW_MS)
    sums = ask(Query(span="ever", group_by=("user", "model")), again)
    assert [(group.key, group.totals.requests) for group in sums.groups] == [
        ({"user": "ann", "model": "m"}, 2)
    ]


def test_many_rows_of_one_flush_are_all_counted() -> None:
    shard = Shard(PlatformSQL())
    many = [event(provider=f"p{n}") for n in range(2 * rollup.ROWS + 1)]
    shard.add(flush("a", 1, *many), NOW_MS)
    assert len(ask(Query(span="ever", group_by=("provider",)), shard).groups) == len(many)


@pytest.mark.parametrize(
    ("at", "counted"),
    [
        (0, NOW - DAY),
        (-(10**15), NOW - DAY),
        (NOW_MS + 1, NOW),
        (10**15, NOW),
        (NOW_MS - 60_000, NOW - 60),
    ],
)
def test_absurd_times_are_counted_where_they_can_be_true(at: int, counted: int) -> None:
    shard = Shard(PlatformSQL())
    shard.add(flush("a", 1, event(at=at)), NOW_MS)
    query = Query(span="minute", begin=0, end=NOW + 60, step=60)
    assert [group.at for group in ask(query, shard).groups] == [counted // 60 * 60]


class Attack:
    """Requests for ever new models, while honest users go on."""

    def __init__(self, *attackers: str) -> None:
        self.sql = PlatformSQL()
        self.shard = Shard(self.sql)
        self.attackers = attackers
        self.told = 0
        self.number = 0

    def go_on(self, models: int, at: int = NOW_MS) -> None:
        many = [
            event(at=at, user=user, model=f"m{self.told + n}", provider="openai")
            for n in range(models)
            for user in self.attackers
        ]
        self.told += models
        many.append(event(at=at, user="ann", model="good", provider="openai"))
        self.number += 1
        self.shard.add(flush("a", self.number, *many), at)

    def rows(self, span: str, start: int) -> int:
        query = "SELECT count(*) FROM sums WHERE span = ? AND start = ?"
        count: int = self.sql(query, span, start)[0][0]
        return count

    def requests(self, only: Key | None = None) -> int:
        query = Query(span="hour", begin=0, end=NOW + 3600, only=only or {})
        sums = ask(query, self.shard)
        return sum(group.totals.requests for group in sums.groups)


def test_one_who_names_ever_new_models_takes_little_room() -> None:
    attack = Attack("eve")
    for _ in range(10):
        attack.go_on(200)
    caps = rollup.A_DAY
    assert attack.rows("minute", NOW // 60 * 60) == caps.models + 2  # the others, and ann's
    assert attack.requests({"user": "eve"}) == 2000
    assert attack.requests({"user": "eve", "model": OTHER}) == 2000 - caps.models
    assert attack.requests({"user": "ann", "model": "good"}) == 10


def test_many_who_name_new_models_leave_everybody_his_own_figures() -> None:
    attackers = [f"eve{n}" for n in range(100)]
    attack = Attack(*attackers)
    attack.go_on(rollup.A_DAY.models)
    attack.go_on(1)
    caps, today = rollup.A_DAY, NOW // DAY * DAY
    for span, start in (("minute", NOW // 60 * 60), ("day", today)):
        assert attack.rows(span, start) <= caps.pairs + 2 * (caps.users + 1)
    assert attack.requests({"user": "ann"}) == 2
    assert all(attack.requests({"user": eve}) == caps.models + 1 for eve in attackers[::10])
    assert attack.requests() == 100 * (caps.models + 1) + 2


def test_more_users_than_are_told_apart_share_a_name() -> None:
    shard = Shard(PlatformSQL())
    users = [f"u{n}" for n in range(rollup.A_DAY.users + 10)]
    shard.add(flush("a", 1, *(event(user=user) for user in users)), NOW_MS)
    sums = ask(Query(span="day", end=NOW + DAY, group_by=("user",)), shard)
    found = {group.key["user"]: group.totals.requests for group in sums.groups}
    assert found == dict.fromkeys(users[:-10], 1) | {OTHER: 10}


def test_an_attack_is_forgotten_with_the_day_but_bounded_for_ever() -> None:
    attack = Attack("eve")
    for day in range(20):
        attack.go_on(60, NOW_MS + day * DAY * 1000)
    assert attack.rows("day", (NOW // DAY + 19) * DAY) == rollup.A_DAY.models + 2
    assert attack.rows("ever", 0) == rollup.EVER.models + 2


def test_long_names_are_cut() -> None:
    shard = Shard(PlatformSQL())
    shard.add(flush("a", 1, event(model="m" * 1000, user="u" * 256)), NOW_MS)
    (group,) = ask(Query(span="ever", group_by=("user", "model")), shard).groups
    assert group.key == {"user": "u" * 256, "model": "m" * rollup.LONGEST}


def test_rows_are_dropped_when_they_are_older_than_they_are_kept() -> None:
    shard = Shard(PlatformSQL())
    shard.add(flush("a", 1, event()), NOW_MS)

    def kept(after: int) -> list[str]:
        shard.prune((NOW + after) * 1000)
        spans = ("minute", "hour", "day", "ever")
        everything = {span: Query(span=span, end=NOW + DAY) for span in spans}
        return [span for span, query in everything.items() if ask(query, shard).groups]

    assert kept(DAY + 3600) == ["minute", "hour", "day", "ever"]
    assert kept(2 * DAY) == ["hour", "day", "ever"]
    assert kept(35 * DAY + 3600) == ["hour", "day", "ever"]
    assert kept(40 * DAY) == ["day", "ever"]
    assert kept(730 * DAY) == ["day", "ever"]
    assert kept(800 * DAY) == ["ever"]


def test_names_of_past_days_are_let_go() -> None:
    shard = Shard(PlatformSQL())
    for day in range(10):
        now = NOW_MS + day * DAY * 1000
        shard.add(flush("a", day + 1, event(at=now)), now)
        shard.prune(now)
    assert len(shard._rollup._names) <= 5

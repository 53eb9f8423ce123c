"""The roll-ups against a recount from the records, whatever comes in which order."""

import random
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.analytics.record.request_record import RequestRecord
from proxy.analytics.store import rollup
from proxy.analytics.store.messages import Dimension, Flush, GroupKey, Resolution, Sums, SumsQuery
from proxy.analytics.store.shard import Shard
from proxy.analytics.store.totals import Totals
from proxy.core.principal import OTHER
from tests.unit.analytics.making import NOW, NOW_MS, make_flush, make_record, read_sums, records
from tests.unit.analytics.records import split_attempts
from tests.unit.analytics.shards import PlatformSQL

DAY = 86400
DIMENSIONS: tuple[Dimension, ...] = ("provider", "model", "user", "endpoint", "status")


@st.composite
def queries(draw: st.DrawFn) -> SumsQuery:
    rows: list[tuple[Resolution, int]] = [("minute", 60), ("hour", 3600), ("day", DAY), ("ever", 1)]
    resolution, seconds = draw(st.sampled_from(rows))
    end = (NOW // seconds + 1) * seconds
    step = None if resolution == "ever" else draw(st.sampled_from([None, seconds, 7 * seconds]))
    filters: GroupKey = draw(
        st.fixed_dictionaries(
            {},
            optional={
                "user": st.sampled_from(["ann", 'böb"; --', OTHER]),
                "status": st.sampled_from([200, 429]),
                "model": st.sampled_from(["small", "7"]),
            },
        )
    )
    return SumsQuery(
        resolution=resolution,
        begin=end - draw(st.integers(1, 3_000)) * seconds,
        end=end,
        step=step,
        group_by=tuple(draw(st.lists(st.sampled_from(DIMENSIONS), unique=True))),
        filters=filters,
        models_only=draw(st.booleans()),
        tried_only=draw(st.booleans()),
    )


def recount(query: SumsQuery, records: Iterable[RequestRecord]) -> dict[tuple[Any, ...], Totals]:
    groups: dict[tuple[Any, ...], Totals] = {}
    for record in records:
        at = max(NOW - DAY, min(NOW, record.at // 1000)) // 60 * 60
        within = query.resolution == "ever" or query.begin <= at < query.end
        if not within or (query.models_only and not record.endpoint.startswith("/v1/")):
            continue
        step = None if query.step is None else at - (at - query.begin) % query.step
        for place, totals in split_attempts(record):
            if (place.model or not query.tried_only) and all(
                getattr(place, name) == value for name, value in query.filters.items()
            ):
                key = (step, *(getattr(place, name) for name in query.group_by))
                groups.setdefault(key, Totals()).add(totals)
    return groups


def keyed(sums: Sums) -> dict[tuple[Any, ...], Totals]:
    found = {(group.at, *group.key.values()): group.totals for group in sums.groups}
    assert len(found) == len(sums.groups)
    return found


def flushes(left: list[RequestRecord], chance: random.Random) -> Iterator[tuple[int, Flush]]:
    """The records in flushes of several isolates, each sent to its shard in order but often
    again, even after the next ones."""
    numbers = dict.fromkeys("abc", 0)
    past: list[tuple[int, Flush]] = []
    while left:
        isolate = chance.choice("abc")
        numbers[isolate] += 1
        size = chance.randrange(4)
        flush = make_flush(isolate, numbers[isolate], *left[:size], lost=chance.randrange(2))
        del left[:size]
        past.append((ord(isolate) % 2, flush))
        yield past[-1]
        while chance.random() < 0.4:
            yield chance.choice(past)


@given(st.lists(records, max_size=40), st.lists(queries(), max_size=4), st.integers(0, 2**32))
def test_figures_are_those_of_a_recount(
    counted: list[RequestRecord], some: list[SumsQuery], seed: int
) -> None:
    shards = [Shard(PlatformSQL()), Shard(PlatformSQL())]
    lost = {}
    for shard, flush in flushes([*counted], random.Random(seed)):
        shards[shard].add(flush, NOW_MS)
        lost[flush.isolate, flush.number] = flush.lost
    for query in some:
        sums = read_sums(query, *shards)
        assert keyed(sums) == recount(query, counted)
        assert sums.lost == sum(lost.values())
    everything = SumsQuery(resolution="ever", models_only=False)
    assert sum(group.totals.requests for group in read_sums(everything, *shards).groups) == len(
        counted
    )


@pytest.mark.parametrize("query", [{}, {"group_by": ("user",)}, {"counters_only": True}])
def test_a_long_window_is_read_from_few_rows(query: dict[str, Any]) -> None:
    sql = PlatformSQL()
    shard = Shard(sql)
    for number in range(2 * DAY // 60):
        now = NOW_MS - 60_000 * number
        shard.add(make_flush("a", number + 1, make_record(at=now)), now)

    def count(minutes: int) -> int:
        end = NOW // 60 * 60 + 60
        asked = SumsQuery(resolution="minute", begin=end - 60 * minutes, end=end, **query)
        with sql.counting() as steps:
            (group,) = shard.read_sums(asked).groups
        assert group.totals.requests == minutes
        return len(steps)

    assert count(1440) <= 2 * count(60)


def test_a_shard_that_is_started_anew_goes_on() -> None:
    sql = PlatformSQL()
    first = Shard(sql)
    first.add(make_flush("a", 1, make_record(user="ann", model="m")), NOW_MS)
    again = Shard(sql)
    again.add(make_flush("a", 1, make_record(user="ann", model="m")), NOW_MS)
    again.add(make_flush("a", 2, make_record(user="ann", model="m")), NOW_MS)
    sums = read_sums(SumsQuery(resolution="ever", group_by=("user", "model")), again)
    assert [(group.key, group.totals.requests) for group in sums.groups] == [
        ({"user": "ann", "model": "m"}, 2)
    ]


def test_many_rows_of_one_flush_are_all_counted() -> None:
    shard = Shard(PlatformSQL())
    many = [make_record(provider=f"p{n}") for n in range(2 * rollup.ROWS + 1)]
    shard.add(make_flush("a", 1, *many), NOW_MS)
    assert len(
        read_sums(SumsQuery(resolution="ever", group_by=("provider",)), shard).groups
    ) == len(many)


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
    shard.add(make_flush("a", 1, make_record(at=at)), NOW_MS)
    query = SumsQuery(resolution="minute", begin=0, end=NOW + 60, step=60)
    assert [group.at for group in read_sums(query, shard).groups] == [counted // 60 * 60]


class Attack:
    """Requests for ever new models, while honest users go on."""

    def __init__(self, *attackers: str) -> None:
        self.sql = PlatformSQL()
        self.shard = Shard(self.sql)
        self.attackers = attackers
        self.named = 0
        self.number = 0

    def go_on(self, models: int, at: int = NOW_MS) -> None:
        many = [
            make_record(at=at, user=user, model=f"m{self.named + n}", provider="openai")
            for n in range(models)
            for user in self.attackers
        ]
        self.named += models
        many.append(make_record(at=at, user="ann", model="good", provider="openai"))
        self.number += 1
        self.shard.add(make_flush("a", self.number, *many), at)

    def rows(self, span: str, start: int) -> int:
        query = "SELECT count(*) FROM sums WHERE span = ? AND start = ?"
        count: int = self.sql(query, span, start)[0][0]
        return count

    def requests(self, filters: GroupKey | None = None) -> int:
        query = SumsQuery(resolution="hour", begin=0, end=NOW + 3600, filters=filters or {})
        sums = read_sums(query, self.shard)
        return sum(group.totals.requests for group in sums.groups)


def test_a_user_who_names_ever_new_models_takes_little_room() -> None:
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
    shard.add(make_flush("a", 1, *(make_record(user=user) for user in users)), NOW_MS)
    sums = read_sums(SumsQuery(resolution="day", end=NOW + DAY, group_by=("user",)), shard)
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
    shard.add(make_flush("a", 1, make_record(model="m" * 1000, user="u" * 256)), NOW_MS)
    (group,) = read_sums(SumsQuery(resolution="ever", group_by=("user", "model")), shard).groups
    assert group.key == {"user": "u" * 256, "model": "m" * rollup.LONGEST}


def test_rows_are_dropped_when_they_are_older_than_they_are_kept() -> None:
    sql = PlatformSQL()
    shard = Shard(sql)
    shard.add(make_flush("a", 1, make_record()), NOW_MS)

    def kept(after: int) -> list[str]:
        shard.prune((NOW + after) * 1000)
        spans = {span for (span,) in sql("SELECT span FROM sums")}
        return [span for span in ("minute", "hour", "day", "ever") if span in spans]

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
        shard.add(make_flush("a", day + 1, make_record(at=now)), now)
        shard.prune(now)
    assert len(shard._rollup._names) <= 5

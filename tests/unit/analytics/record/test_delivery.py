"""Flushes over a bad network: lost on their way or with their answer, late and doubled."""

import random

import pytest
from msgspec import Struct

from proxy.analytics.record.request_record import RequestRecord
from proxy.analytics.store.messages import Flush, SumsQuery
from proxy.analytics.store.shard import FORGET_MS, Shard
from tests.unit.analytics.making import NOW_MS, make_flush, make_record, read_sums
from tests.unit.analytics.shards import PlatformSQL

EVERYTHING = SumsQuery(resolution="ever", models_only=False)


class Isolate(Struct):
    """What an isolate has to send: a flush again until it is accepted, then the next."""

    name: str
    shard: Shard
    number: int = 0
    sent: Flush | None = None
    waiting: list[RequestRecord] = []
    lost: int = 0

    def send(self, chance: random.Random, late: list[tuple[Shard, Flush]], now: int) -> None:
        """One try. What is lost on its way may still come much later."""
        if self.sent is None:
            if not self.waiting and not self.lost:
                return
            self.number += 1
            self.sent = make_flush(self.name, self.number, *self.waiting, lost=self.lost)
            self.waiting, self.lost = [], 0
        fate = chance.choice(["accepted", "accepted", "lost", "unanswered", "late"])
        if fate in ("accepted", "unanswered"):
            self.shard.add(self.sent, now)
        if fate == "late":
            late.append((self.shard, self.sent))
        if fate == "accepted":
            self.sent = None


@pytest.mark.parametrize("seed", range(8))
def test_every_request_is_counted_once_whatever_the_network_does(seed: int) -> None:
    chance = random.Random(seed)
    stores = [PlatformSQL() for _ in range(3)]
    shards = [Shard(sql) for sql in stores]
    isolates = [Isolate(name=f"i{n}", shard=shards[n % 3]) for n in range(7)]
    late: list[tuple[Shard, Flush]] = []
    made = lost = 0
    for tick in range(400):
        now = NOW_MS + tick * 5000
        isolate = chance.choice(isolates)
        if tick < 300:
            many = [
                make_record(at=now, ms=chance.randrange(1000)) for _ in range(chance.randrange(4))
            ]
            isolate.waiting += many
            made += len(many)
            if chance.random() < 0.1 and isolate.waiting:
                isolate.waiting.pop()
                isolate.lost += 1
                made, lost = made - 1, lost + 1
        isolate.send(chance, late, now)
        while late and chance.random() < 0.3:
            shard, text = late.pop(chance.randrange(len(late)))
            shard.add(text, now)
        if chance.random() < 0.1:
            shard = chance.choice(shards)
            shard.prune(now)
    for isolate in isolates:
        while isolate.sent or isolate.waiting or isolate.lost:
            isolate.send(chance, late, NOW_MS + 2_000_000)
    for shard, text in late:
        shard.add(text, NOW_MS + 2_000_000)
    sums = read_sums(EVERYTHING, *shards)
    assert sum(group.totals.requests for group in sums.groups) == made
    assert sums.lost == lost
    assert made > 300


def test_a_flush_that_says_only_what_was_lost_is_counted() -> None:
    shard = Shard(PlatformSQL())
    shard.add(make_flush("a", 1, lost=3), NOW_MS)
    shard.add(make_flush("a", 2, lost=4), NOW_MS)
    assert read_sums(EVERYTHING, shard).lost == 7


def test_isolates_are_forgotten_a_day_after_their_last_new_flush() -> None:
    sql = PlatformSQL()
    shard = Shard(sql)
    shard.add(make_flush("old", 1, make_record()), NOW_MS)
    shard.add(make_flush("young", 1, make_record()), NOW_MS + 1)
    shard.prune(NOW_MS + FORGET_MS)
    shard.add(make_flush("old", 1, make_record()), NOW_MS + FORGET_MS)
    assert read_sums(EVERYTHING, shard).groups[0].totals.requests == 2
    shard.prune(NOW_MS + FORGET_MS + 1)
    assert sql("SELECT isolate FROM heard ORDER BY isolate") == [("young",)]

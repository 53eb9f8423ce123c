"""KV and R2: which of them holds what, and that neither can fail a request."""

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.cache.entry import encode
from proxy.cache.tiers import WRITES_KNOWN, LowerTiers, placement, prune_prefix
from tests.unit.cache.making import KEY, make_entry
from tests.unit.doubles import Logbook, ManualClock, MemoryStore, in_no_time

MB = 1024 * 1024
HOUR = 3600


@pytest.mark.parametrize(
    ("size", "lifetime", "held"),
    [
        (0, 60, ("kv",)),
        (MB, 60, ("kv",)),
        (MB, HOUR - 1, ("kv",)),
        (MB, HOUR, ("kv", "r2")),
        (0, 10**8, ("kv", "r2")),
        (MB, 59, ()),
        (0, 0, ()),
        (MB + 1, 59, ()),
        (MB + 1, 60, ("r2",)),
        (MB + 1, HOUR, ("r2",)),
        (25 * MB, 60, ("r2",)),
        (25 * MB, HOUR, ("r2",)),
        (25 * MB + 1, HOUR, ()),
        (25 * MB + 1, 10**8, ()),
    ],
)
def test_placement(size: int, lifetime: int, held: tuple[str, ...]) -> None:
    assert placement(size, lifetime) == held


@given(st.integers(0, 30 * MB) | st.sampled_from([MB, MB + 1, 25 * MB]), st.integers(0, 2 * HOUR))
def test_what_lives_long_enough_and_fits_is_held_somewhere(size: int, lifetime: int) -> None:
    assert bool(placement(size, lifetime)) == (lifetime >= 60 and size <= 25 * MB)


def test_pruning_comes_to_every_key_in_256_steps() -> None:
    start = 1_700_000_123.0
    prefixes = [prune_prefix(start + 300 * step) for step in range(256)]
    assert sorted(prefixes) == [f"{number:02x}" for number in range(256)]
    assert prune_prefix(start + 300 * 256) == prefixes[0]
    # A trigger that comes a little late or early on its five minutes leaves none out.
    assert len({prune_prefix(300 * step + step % 7 * 40) for step in range(256)}) == 256


class Watched(MemoryStore):
    """Writes down what is read."""

    def __init__(self, name: str, reads: list[tuple[str, str, str]]) -> None:
        super().__init__()
        self.name, self.reads = name, reads

    async def get(self, key: str) -> bytes | None:
        self.reads.append((self.name, "get", key))
        return await super().get(key)


class Below:
    """The tiers with their stores at hand."""

    def __init__(self) -> None:
        self.reads: list[tuple[str, str, str]] = []
        self.log = Logbook()
        self.kv, self.r2 = Watched("kv", self.reads), Watched("r2", self.reads)
        self.clock = ManualClock()
        self.tiers = LowerTiers({"kv": self.kv, "r2": self.r2}, 0.05, self.clock, self.log)

    async def found(self) -> tuple[str | None, str] | None:
        """The text and the tier of what is found."""
        found = await self.tiers.find(KEY)
        if found is None:
            return None
        entry, data, tier = found
        assert data == encode(entry)
        return entry.answer.text, tier


def data(text: str) -> tuple[bytes, int]:
    return encode(make_entry(text)), 60


@pytest.fixture
def below() -> Below:
    return Below()


class TestFind:
    async def test_kv_answers_and_r2_is_not_read(self, below: Below) -> None:
        below.kv.held[KEY] = data("kv")
        below.r2.held[KEY] = data("r2")
        assert await below.found() == ("kv", "kv")
        assert below.reads == [("kv", "get", KEY)]

    async def test_then_r2(self, below: Below) -> None:
        below.r2.held[KEY] = data("r2")
        assert await below.found() == ("r2", "r2")
        assert below.reads == [("kv", "get", KEY), ("r2", "get", KEY)]
        assert below.log.lines == []

    async def test_a_miss(self, below: Below) -> None:
        below.kv.held["another"] = data("x")
        assert await below.found() is None
        assert below.log.lines == []

    async def test_what_lies_below_another_tier(self, below: Below) -> None:
        below.kv.held[KEY], below.r2.held[KEY] = data("kv"), data("r2")
        found = await below.tiers.find(KEY, after="kv")
        assert found
        assert (found[0].answer.text, found[2]) == ("r2", "r2")
        assert below.reads == [("r2", "get", KEY)]
        assert await below.tiers.find(KEY, after="r2") is None
        assert len(below.reads) == 1

    async def test_a_store_that_raises_is_passed_by(self, below: Below) -> None:
        below.kv.fault = RuntimeError("KV GET failed: 500")
        below.r2.held[KEY] = data("r2")
        assert await below.found() == ("r2", "r2")
        [(level, event, fields)] = below.log.lines
        assert (level, event) == ("error", "cache tier failed")
        assert (fields["tier"], fields["key"]) == ("kv", KEY)
        assert "KV GET failed" in str(fields["error"])
        below.r2.fault = ValueError("x" * 5000)
        assert await below.found() is None
        assert max(len(str(fields["error"])) for *_, fields in below.log.lines) <= 500

    @in_no_time
    async def test_a_store_that_hangs_is_passed_by_after_50_ms(self, below: Below) -> None:
        below.kv.silent = True
        below.r2.held[KEY] = data("r2")
        assert await below.found() == ("r2", "r2")
        assert asyncio.get_running_loop().time() == pytest.approx(0.05)
        assert [line[:2] for line in below.log.lines] == [("warning", "cache tier slow")]
        below.r2.silent = True
        assert await below.found() is None
        assert asyncio.get_running_loop().time() == pytest.approx(0.15)

    @in_no_time
    async def test_a_slow_store_that_comes_in_time_answers(self, below: Below) -> None:
        below.kv.held[KEY] = data("kv")

        async def ready() -> None:
            await asyncio.sleep(0.049)

        below.kv._ready = ready  # type: ignore[method-assign]
        assert await below.found() == ("kv", "kv")

    async def test_foreign_bytes_are_a_miss(self, below: Below) -> None:
        whole = data("r2")[0]
        foreign = [b"", b"null", whole[:-1], whole + b"x", bytes(100), b"APC\x02" + whole[4:]]
        foreign += [whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :] for at in (0, 4, 7, 20)]
        below.r2.held[KEY] = data("r2")
        for number, bytes_ in enumerate(foreign, 1):
            below.kv.held[KEY] = (bytes_, 60)
            assert await below.found() == ("r2", "r2")
            assert len(below.log.lines) == number
            level, event, fields = below.log.lines[-1]
            assert (level, event) == ("warning", "cache entry unreadable")
            assert (fields["tier"], fields["key"]) == ("kv", KEY)
        below.r2.held[KEY] = (b"no", 60)
        assert await below.found() is None

    async def test_a_caller_that_is_gone_is_not_taken_for_a_slow_store(self, below: Below) -> None:
        below.kv.silent = True
        task = asyncio.ensure_future(below.tiers.find(KEY))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert below.log.lines == []


class TestPut:
    @pytest.mark.parametrize(
        ("size", "lifetime", "kv", "r2"),
        [
            (10, 60, True, False),
            (10, HOUR, True, True),
            (MB + 1, 60, False, True),
            (10, 59, False, False),
        ],
    )
    async def test_where_it_belongs(
        self, below: Below, size: int, lifetime: int, kv: bool, r2: bool
    ) -> None:
        await below.tiers.put(KEY, bytes(size), lifetime)
        here = {KEY: (bytes(size), lifetime)}
        assert below.kv.held == (here if kv else {})
        assert below.r2.held == (here if r2 else {})

    async def test_one_that_fails_does_not_keep_it_from_the_other(self, below: Below) -> None:
        below.kv.fault = RuntimeError("full")
        await below.tiers.put(KEY, b"x", HOUR)
        assert below.r2.held == {KEY: (b"x", HOUR)}
        assert [line[2]["tier"] for line in below.log.lines] == ["kv"]
        below.kv.fault, below.r2.fault = None, RuntimeError("full")
        below.clock.time += 1
        await below.tiers.put(KEY, b"y", HOUR)
        assert below.kv.held == {KEY: (b"y", HOUR)}

    async def test_a_key_is_written_once_a_second(self, below: Below) -> None:
        await below.tiers.put(KEY, b"1", HOUR)
        below.clock.time += 0.9
        await below.tiers.put(KEY, b"2", HOUR)
        await below.tiers.put("another", b"2", HOUR)
        assert below.kv.held == {KEY: (b"1", HOUR), "another": (b"2", HOUR)} == below.r2.held
        below.clock.time += 0.1
        await below.tiers.put(KEY, b"3", HOUR)
        assert below.kv.held[KEY] == (b"3", HOUR) == below.r2.held[KEY]
        below.clock.time -= 100
        await below.tiers.put(KEY, b"4", HOUR)
        assert below.kv.held[KEY] == (b"4", HOUR)

    async def test_the_writes_that_are_remembered_are_bounded(self, below: Below) -> None:
        for number in range(3 * WRITES_KNOWN):
            await below.tiers.put(str(number), b"x", 60)
            assert len(below.tiers._written) <= WRITES_KNOWN
        assert len(below.kv.held) == 3 * WRITES_KNOWN


class TestPromote:
    @pytest.mark.parametrize(
        ("size", "lifetime", "promoted"),
        [(10, 60, True), (MB, HOUR, True), (10, 59, False), (10, -5, False), (MB + 1, HOUR, False)],
    )
    async def test_to_kv_if_it_belongs_there(
        self, below: Below, size: int, lifetime: int, promoted: bool
    ) -> None:
        await below.tiers.promote(KEY, bytes(size), lifetime)
        assert below.kv.held == ({KEY: (bytes(size), lifetime)} if promoted else {})
        assert below.r2.held == {}

    async def test_a_kv_that_fails_is_logged(self, below: Below) -> None:
        below.kv.fault = RuntimeError("full")
        await below.tiers.promote(KEY, b"x", HOUR)
        assert [line[1] for line in below.log.lines] == ["cache tier failed"]


async def test_delete_is_everywhere(below: Below) -> None:
    for store in (below.kv, below.r2):
        store.held = {KEY: (b"x", 60), "another": (b"y", 60)}
    await below.tiers.delete(KEY)
    assert below.kv.held.keys() == below.r2.held.keys() == {"another"}
    below.kv.fault = RuntimeError("down")
    await below.tiers.delete("another")
    assert below.r2.held == {}
    assert [line[1] for line in below.log.lines] == ["cache tier failed"]


@pytest.mark.parametrize("name", [None, "kv", "r2"])
async def test_a_deployment_without_a_tier_does_without(name: Any) -> None:
    log = Logbook()
    store = MemoryStore()
    tiers = LowerTiers({name: store} if name else {}, 0.05, ManualClock(), log)
    whole = data("x")[0]
    await tiers.put(KEY, whole, HOUR)
    assert store.held == ({KEY: (whole, HOUR)} if name else {})
    found = await tiers.find(KEY)
    assert (found and found[2]) == name
    await tiers.delete(KEY)
    assert await tiers.find(KEY) is None
    assert log.lines == []

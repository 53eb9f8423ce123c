"""KV and R2: which of them holds what, and that neither can fail a request."""

import asyncio
from collections.abc import Awaitable
from typing import Any

import pytest

from proxy.cache.entry import encode
from proxy.cache.tiers import IN_R2, WRITES_KNOWN, LowerTiers, prune_prefix
from tests.unit.cache.making import KEY, LARGE, make_entry
from tests.unit.doubles import Logbook, ManualClock, in_no_time
from tests.unit.memory_store import MemoryStore

MB = 1024 * 1024
HOUR = 3600


def test_pruning_comes_to_every_key_in_256_steps() -> None:
    start = 1_700_000_123.0
    prefixes = [prune_prefix(start + 300 * step) for step in range(256)]
    assert sorted(prefixes) == [f"{number:02x}" for number in range(256)]
    assert prune_prefix(start + 300 * 256) == prefixes[0]
    # A trigger that comes a little late or early on its five minutes leaves none out.
    assert len({prune_prefix(300 * step + step % 7 * 40) for step in range(256)}) == 256


class Watched(MemoryStore):
    """Writes down what is read and written."""

    def __init__(self, name: str, calls: list[tuple[str, str]]) -> None:
        super().__init__()
        self.name, self.calls = name, calls

    async def get(self, key: str) -> bytes | None:
        self.calls.append((self.name, "get"))
        return await super().get(key)

    async def put(self, key: str, data: bytes, lifetime: int, failed: Any = None) -> None:
        self.calls.append((self.name, "put"))
        await super().put(key, data, lifetime, failed)


class Below:
    """The tiers of an isolate with their stores at hand."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []
        self.log = Logbook()
        self.kv, self.r2 = Watched("kv", self.calls), Watched("r2", self.calls)
        self.clock = ManualClock()
        self.tiers = self.isolate()

    def isolate(self) -> LowerTiers:
        """Another isolate's tiers, on the same stores."""
        return LowerTiers(self.kv, self.r2, 0.05, self.clock, self.log)

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


MARKER = (IN_R2, 60)


async def put(tiers: LowerTiers, key: str, data: bytes, lifetime: int) -> None:
    """Has an entry written, to the end."""
    later = list[Awaitable[object]]()
    tiers.put(key, data, lifetime, later.append)
    for work in later:
        await work


@pytest.fixture
def below() -> Below:
    return Below()


class TestFind:
    async def test_kv_answers_and_r2_is_not_read(self, below: Below) -> None:
        below.kv.held[KEY] = data("kv")
        below.r2.held[KEY] = data("r2")
        assert await below.found() == ("kv", "kv")
        assert below.calls == [("kv", "get")]

    async def test_r2_answers_where_kv_has_the_marker(self, below: Below) -> None:
        below.kv.held[KEY] = MARKER
        below.r2.held[KEY] = data("r2")
        assert await below.found() == ("r2", "r2")
        assert below.calls == [("kv", "get"), ("r2", "get")]
        assert below.log.lines == []

    async def test_a_miss_reads_kv_alone(self, below: Below) -> None:
        below.kv.held["another"] = data("x")
        below.r2.held[KEY] = data("r2")
        assert await below.found() is None
        assert below.calls == [("kv", "get")]
        assert below.log.lines == []

    async def test_a_marker_of_nothing_is_a_miss(self, below: Below) -> None:
        below.kv.held[KEY] = MARKER
        assert await below.found() is None
        assert below.log.lines == []

    async def test_r2_is_looked_at_where_kv_raises(self, below: Below) -> None:
        below.kv.fault = RuntimeError("KV GET failed: 500")
        below.r2.held[KEY] = data("r2")
        assert await below.found() == ("r2", "r2")
        [(level, event, fields)] = below.log.lines
        assert (level, event) == ("error", "cache tier failed")
        assert (fields["tier"], fields["key"]) == ("kv", KEY)
        assert "KV GET failed" in str(fields["error"])
        below.r2.fault = ValueError("x" * 5000)
        assert await below.found() is None
        assert [fields["tier"] for *_, fields in below.log.lines] == ["kv", "kv", "r2"]
        assert max(len(str(fields["error"])) for *_, fields in below.log.lines) <= 500

    @in_no_time
    async def test_r2_is_looked_at_where_kv_hangs_for_50_ms(self, below: Below) -> None:
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

    @pytest.mark.parametrize("tier", ["kv", "r2"])
    async def test_foreign_bytes_are_a_miss(self, below: Below, tier: str) -> None:
        whole = data("x")[0]
        foreign = [b"", b"null", whole[:-1], whole + b"x", bytes(100), b"APC\x02" + whole[4:]]
        foreign += [whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :] for at in (0, 4, 7, 20)]
        store = {"kv": below.kv, "r2": below.r2}[tier]
        below.kv.held[KEY] = MARKER
        for number, bytes_ in enumerate(foreign, 1):
            store.held[KEY] = (bytes_, 60)
            assert await below.found() is None
            assert len(below.log.lines) == number
            level, event, fields = below.log.lines[-1]
            assert (level, event) == ("warning", "cache entry unreadable")
            assert (fields["tier"], fields["key"]) == (tier, KEY)

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
        ("size", "lifetime", "held"),
        [
            (0, 60, "kv"),
            (10, HOUR, "kv"),
            (MB, 10**8, "kv"),
            (MB + 1, 60, "r2"),
            (25 * MB, HOUR, "r2"),
            (25 * MB + 1, HOUR, None),
            (10, 59, None),
            (MB + 1, 59, None),
        ],
    )
    async def test_where_it_belongs(
        self, below: Below, size: int, lifetime: int, held: str | None
    ) -> None:
        await put(below.tiers, KEY, bytes(size), lifetime)
        whole, marker = {KEY: (bytes(size), lifetime)}, {KEY: (IN_R2, lifetime)}
        assert below.kv.held == {"kv": whole, "r2": marker, None: {}}[held]
        assert below.r2.held == (whole if held == "r2" else {})

    async def test_no_marker_is_written_before_the_entry_is_there(self, below: Below) -> None:
        below.r2.silent = True
        writing = asyncio.ensure_future(put(below.tiers, KEY, bytes(MB + 1), HOUR))
        await asyncio.sleep(0)
        assert below.calls == [("r2", "put")]
        assert below.kv.held == {}
        writing.cancel()

    async def test_without_the_entry_there_is_no_marker(self, below: Below) -> None:
        below.r2.fault = RuntimeError("full")
        await put(below.tiers, KEY, bytes(MB + 1), HOUR)
        assert below.kv.held == {}
        assert [line[2]["tier"] for line in below.log.lines] == ["r2"]

    async def test_what_kv_does_not_take_is_a_miss(self, below: Below) -> None:
        below.kv.fault = RuntimeError("full")
        await put(below.tiers, KEY, data("x")[0], HOUR)
        assert [line[2]["tier"] for line in below.log.lines] == ["kv"]
        below.kv.fault = None
        assert await below.found() is None

    @pytest.mark.parametrize("order", [("a", LARGE), (LARGE, "a"), (LARGE, LARGE[::-1])])
    async def test_two_isolates_in_turn_leave_the_later_answer(
        self, below: Below, order: tuple[str, str]
    ) -> None:
        for text in order:
            await put(below.isolate(), KEY, encode(make_entry(text)), HOUR)
            tier = "kv" if text == "a" else "r2"
            assert await below.found() == (text, tier)

    async def test_a_small_answer_between_the_two_writes_of_a_large_one(self, below: Below) -> None:
        """Whichever of the two KV has at the end, it leads to a whole answer."""
        let_go = asyncio.Event()
        below.r2._ready = let_go.wait  # type: ignore[method-assign, assignment]
        large = asyncio.ensure_future(put(below.tiers, KEY, encode(make_entry(LARGE)), HOUR))
        await asyncio.sleep(0)
        await put(below.isolate(), KEY, encode(make_entry("a")), HOUR)
        assert await below.found() == ("a", "kv")
        let_go.set()
        await large
        assert await below.found() == (LARGE, "r2")

    async def test_a_key_is_written_once_a_second(self, below: Below) -> None:
        await put(below.tiers, KEY, b"1", HOUR)
        below.clock.time += 0.9
        await put(below.tiers, KEY, b"2", HOUR)
        await put(below.tiers, "another", b"2", HOUR)
        await put(below.tiers, KEY, bytes(MB + 1), HOUR)
        await put(below.tiers, KEY, bytes(MB + 2), HOUR)
        assert below.kv.held == {KEY: (b"1", HOUR), "another": (b"2", HOUR)}
        assert below.r2.held == {KEY: (bytes(MB + 1), HOUR)}
        below.clock.time += 0.1
        await put(below.tiers, KEY, b"3", HOUR)
        assert below.kv.held[KEY] == (b"3", HOUR)
        below.clock.time -= 100
        await put(below.tiers, KEY, b"4", HOUR)
        assert below.kv.held[KEY] == (b"4", HOUR)

    async def test_the_writes_that_are_remembered_are_bounded(self, below: Below) -> None:
        for number in range(3 * WRITES_KNOWN):
            await put(below.tiers, str(number), b"x", 60)
            assert len(below.tiers._written) <= WRITES_KNOWN
        assert len(below.kv.held) == 3 * WRITES_KNOWN


async def test_delete_is_everywhere(below: Below) -> None:
    for store in (below.kv, below.r2):
        store.held = {KEY: (b"x", 60), "another": (b"y", 60)}
    await below.tiers.delete(KEY)
    assert below.kv.held.keys() == below.r2.held.keys() == {"another"}
    below.kv.fault = RuntimeError("down")
    await below.tiers.delete("another")
    assert below.r2.held == {}
    assert [line[1] for line in below.log.lines] == ["cache tier failed"]


@pytest.mark.parametrize("text", ["small", LARGE])
@pytest.mark.parametrize("names", [(), ("kv",), ("r2",)])
async def test_a_deployment_without_a_tier_does_without(names: tuple[str, ...], text: str) -> None:
    log, store = Logbook(), MemoryStore()
    kv, r2 = (store if name in names else None for name in ("kv", "r2"))
    tiers = LowerTiers(kv, r2, 0.05, ManualClock(), log)
    whole = encode(make_entry(text))
    await put(tiers, KEY, whole, HOUR)
    holder = None if text == LARGE and names == ("kv",) else next(iter(names), None)
    assert store.held == ({KEY: (whole, HOUR)} if holder else {})
    found = await tiers.find(KEY)
    assert (found and found[2]) == holder
    await tiers.delete(KEY)
    assert await tiers.find(KEY) is None
    assert log.lines == []


async def test_a_marker_outlives_the_binding_of_r2() -> None:
    kv, log = MemoryStore(), Logbook()
    kv.held[KEY] = MARKER
    assert await LowerTiers(kv, None, 0.05, ManualClock(), log).find(KEY) is None
    assert log.lines == []

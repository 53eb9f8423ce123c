"""The simulation of bench.scaling: what it counts adds up, and the same seed counts the same."""

import pytest

from bench.scaling import find_busiest_shard, list_loads
from bench.scaling_cost import CPU_MS, PRICES, count_kept_units, count_units, price
from bench.scaling_load import COUNTED, Load, Tally, count_pool_reports, shares_of_zipf
from bench.scaling_slice import play
from proxy.access.keys import LOOKUP
from proxy.analytics.store.shard import ADD
from proxy.cache.purge import READ_PURGES
from proxy.limits.account_messages import RESERVE, SETTLE
from proxy.limits.lease_messages import TAKE
from proxy.routing.board import EXCHANGE

LOAD = Load(rate=50, isolate_rate=25)


@pytest.fixture(scope="module")
def tally() -> Tally:
    return play(LOAD)


def test_requests_add_up(tally: Tally) -> None:
    misses = tally.paths["miss"]
    assert tally.requests == LOAD.rate * COUNTED
    assert tally.operations["KV read"] == misses + tally.paths["kv"]
    assert tally.operations["KV write"] == misses
    assert tally.operations.keys() == {"KV read", "KV write"}
    assert tally.count_calls(RESERVE) == tally.count_calls(SETTLE) == misses


def test_all_requests_are_reported_within_a_second(tally: Tally) -> None:
    assert tally.records == pytest.approx(tally.requests, abs=LOAD.rate)
    assert 0 < tally.groups <= tally.records


def test_each_isolate_calls_the_shared_objects_by_its_clock(tally: Tally) -> None:
    assert tally.count_calls(READ_PURGES) == LOAD.isolates * 2  # every 15 s
    assert tally.busiest(EXCHANGE)[0] == "board"
    assert tally.busiest(EXCHANGE)[1] == pytest.approx(LOAD.isolates / 3, rel=0.1)
    assert tally.count_calls(ADD) == pytest.approx(LOAD.isolates * COUNTED, rel=0.5)


def test_a_key_is_looked_up_once_in_thirty_seconds_at_most(tally: Tally) -> None:
    assert 0 < tally.count_calls(LOOKUP) <= LOAD.isolates * LOAD.keys * 2


def test_leases_save_calls_of_the_bucket(tally: Tally) -> None:
    strict = play(Load(rate=50, isolate_rate=25, lease=1))
    assert strict.count_calls(TAKE) == strict.paths["miss"]
    assert tally.count_calls(TAKE) < tally.paths["miss"]


def test_the_same_seed_counts_the_same_and_another_does_not(tally: Tally) -> None:
    assert play(LOAD) == tally
    assert play(Load(rate=50, isolate_rate=25, seed=2)).calls != tally.calls


def test_a_slice_stands_for_the_whole() -> None:
    load = Load(rate=1000, isolate_rate=20)
    assert (load.isolates, load.played, load.scale) == (50, 10, 5)
    tally = play(load)
    assert tally.requests * load.scale == load.rate * COUNTED
    assert tally.busiest(EXCHANGE)[1] == pytest.approx(load.isolates / 3, rel=0.1)


def test_a_pool_hears_of_a_bucket_when_it_grants_and_every_five_seconds_at_most() -> None:
    one_busy = count_pool_reports(Load(rate=1000, keys_per_rate=0.001), misses=1.0)
    assert one_busy == pytest.approx(1 / 5, rel=0.01)
    rare = Load(rate=10, keys_per_rate=10_000)
    to_provider = rare.rate * shares_of_zipf(4, 1.0)[0]
    assert count_pool_reports(rare, misses=1.0) == pytest.approx(to_provider, rel=0.2)


def test_shards_take_what_their_isolates_have() -> None:
    load = Load(rate=100_000)
    assert find_busiest_shard(load, 1) == 1
    assert 1 / 8 <= find_busiest_shard(load, 8) < 1 / 4
    few = Load(rate=1000)
    assert find_busiest_shard(few, 32) >= 1 / few.isolates


def test_saturation_is_read_from_the_loads(tally: Tally) -> None:
    loads = {(each.namespace, each.name): each for each in list_loads(tally)}
    keys = loads["ACCESS_KEYS", "keys"]
    assert keys.load == tally.count_calls(LOOKUP) / COUNTED
    assert keys.share == keys.load / keys.capacity
    shard = loads["STATISTICS", "1 shard, records"]
    assert shard.load == tally.records / COUNTED
    responses = next(each for each in list_loads(tally) if each.namespace == "RESPONSES")
    assert responses.load == 2 * LOAD.rate * shares_of_zipf(LOAD.keys, 1.0)[0]


def test_a_kept_response_is_a_call_and_its_rows() -> None:
    units = count_kept_units()
    assert units["object calls"] == 1
    response, text, named_item = 3, 2, 3  # each with the indexes that have it
    assert units["rows written"] == response + 2 * text + named_item


def test_a_path_costs_its_operations(tally: Tally) -> None:
    units = count_units(tally)
    hit, miss, stream = units["memory hit"], units["miss"], units["stream"]
    assert hit["KV reads"] == hit["KV writes"] == 0
    assert miss["KV writes"] == miss["KV reads"] == 1
    assert miss["object calls"] > hit["object calls"] + 2  # the account's two
    assert {item for item in PRICES if stream[item] != miss[item]} == {"CPU ms"}
    assert price(stream)["CPU ms"] == CPU_MS["stream"] * PRICES["CPU ms"]
    assert price(miss)["KV writes"] == PRICES["KV writes"]

"""Whose turn a key is, which keys rest and which are set aside, and what the limits hear of it."""

from collections import Counter

import pytest

from proxy.core.errors import OK, Fault
from proxy.providers.catalog import Catalog
from proxy.routing.key_pools import KeyView
from tests.unit.routing.making_keys import (
    KEYS,
    NOW,
    Isolate,
    a_conversation,
    limited,
    make,
)


class Time:
    now = NOW

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def isolate(catalog: Catalog, time: Time) -> Isolate:
    return Isolate(catalog, time)


def states(isolate: Isolate) -> list[str]:
    return [view.state for view in isolate.keys.views("openai")]


def refused(status: int = 401) -> Fault:
    return make("unauthorized", status)


def test_calls_without_a_conversation_take_the_keys_in_turn(isolate: Isolate) -> None:
    numbers = [isolate.assign().key_number for _ in range(6)]
    assert numbers == [2, 3, 1, 2, 3, 1]  # the first by chance: 0.5
    assert isolate.assign().key == KEYS[1]


def test_a_conversation_keeps_to_its_key_in_every_isolate(catalog: Catalog, time: Time) -> None:
    here, there = Isolate(catalog, time), Isolate(catalog, time)
    there.assign()
    homes = {name: here.assign(name).key_number for name in map(str, range(60))}
    assert {name: there.assign(name).key_number for name in homes} == homes
    assert min(Counter(homes.values()).values()) > 10


def test_a_key_that_goes_moves_its_own_conversations_only(catalog: Catalog, time: Time) -> None:
    all_three = Isolate(catalog, time)
    two = Isolate(catalog, time, OPENAI_API_KEY=",".join(KEYS[:1] + KEYS[2:]))
    for name in map(str, range(40)):
        key = all_three.assign(name).key
        assert key == KEYS[1] or two.assign(name).key == key


def test_without_affinity_conversations_take_turns_too(catalog: Catalog, time: Time) -> None:
    isolate = Isolate(catalog, time, SESSION_AFFINITY="off")
    assert {isolate.assign("one").key_number for _ in range(3)} == {1, 2, 3}


def test_a_single_key_has_no_number(catalog: Catalog, time: Time) -> None:
    isolate = Isolate(catalog, time, OPENAI_API_KEY="alone")
    target = isolate.target()
    assert isolate.keys.assign(target, lambda: None) is target
    assert (target.key, target.key_number) == ("alone", 0)
    assert isolate.keys.views("openai") == ()
    assert isolate.keys.choose("openai", tried=frozenset({0})) is None
    isolate.keys.observe(target, isolate.permit, {}, fault := limited(5))
    assert fault.blame == "provider"
    assert isolate.permit.observed == [("openai", "gpt", "rate_limited")]


def test_a_limited_key_rests_as_long_as_it_is_told(isolate: Isolate, time: Time) -> None:
    home = isolate.assign("chat")
    fault = isolate.fail(home, limited(7))
    assert fault.blame == "key"
    assert isolate.permit.observed == []  # the provider bears what the others bear
    moved = isolate.assign("chat").key_number
    assert moved != home.key_number
    assert isolate.assign("chat").key_number == moved
    time.now += 6_999
    assert isolate.assign("chat").key_number == moved
    time.now += 1
    assert isolate.assign("chat").key_number == home.key_number


def test_a_key_rests_for_the_model_alone_whose_quota_is_used_up(isolate: Isolate) -> None:
    isolate.fail(isolate.with_key(2), limited(60, "model"))
    assert isolate.keys.views("openai")[1] == KeyView(2, "usable", None, {"gpt": NOW + 60_000})
    others = [isolate.keys.choose("openai", model="gpt-big") for _ in range(3)]
    assert {other.number for other in others if other} == {1, 2, 3}
    assert 2 not in {isolate.assign().key_number for _ in range(6)}


@pytest.mark.parametrize("status", [400, 401, 402, 403])
def test_a_refused_key_is_set_aside_and_tried_again_by_one_call(
    isolate: Isolate, time: Time, status: int
) -> None:
    fault = isolate.fail(isolate.with_key(2), refused(status))
    assert fault.blame == "key"
    assert states(isolate) == ["usable", "refused", "usable"]
    assert 2 not in {isolate.assign().key_number for _ in range(6)}
    time.now += 12_000
    probe = isolate.breakers.begin("openai", "gpt", time.now, "openai#2")
    assert 2 not in {isolate.assign().key_number for _ in range(6)}
    isolate.breakers.report(probe, OK, time.now)
    assert states(isolate) == ["usable"] * 3
    assert 2 in {isolate.assign().key_number for _ in range(3)}


def test_a_quota_that_is_used_up_sets_the_key_aside(isolate: Isolate) -> None:
    fault = isolate.fail(isolate.with_key(1), limited(None, "exhausted"))
    assert (fault.blame, states(isolate)[0]) == ("key", "refused")


def test_when_all_rest_the_provider_is_limited_until_the_first_wakes(isolate: Isolate) -> None:
    for number, seconds in ((1, 50), (2, 20)):
        isolate.fail(isolate.with_key(number), limited(seconds))
    fault = isolate.fail(isolate.with_key(3), limited(90))
    assert (fault.blame, fault.retry_after, fault.quota) == ("provider", 20, "account")
    assert isolate.permit.observed == [("openai", "gpt", "rate_limited")]
    assert isolate.assign("any").key_number == 2  # where a call goes all the same


def test_a_model_alone_is_limited_while_a_key_is_awake_for_others(isolate: Isolate) -> None:
    isolate.fail(isolate.with_key(1), limited(50, "model"))
    isolate.fail(isolate.with_key(2), limited(50))
    fault = isolate.fail(isolate.with_key(3), limited(50))
    assert fault.quota == "model"


def test_the_provider_is_refused_only_when_all_keys_are(isolate: Isolate) -> None:
    blames = [isolate.fail(isolate.with_key(n), refused()).blame for n in (1, 2, 3)]
    assert blames == ["key", "key", "provider"]
    assert isolate.keys.openness("openai") > 0
    assert isolate.breakers.openness("openai", "gpt", NOW) > 0


def test_a_refused_key_among_resting_ones_makes_the_provider_limited(isolate: Isolate) -> None:
    isolate.fail(isolate.with_key(1), limited(30))
    isolate.fail(isolate.with_key(2), limited(40))
    fault = isolate.fail(isolate.with_key(3), refused())
    assert fault.blame == "key"
    assert isolate.permit.observed == [("openai", "gpt", "rate_limited")]
    assert isolate.breakers.openness("openai", "gpt", NOW) == 0


def test_a_refused_key_may_be_tried_again_before_any_wakes(isolate: Isolate) -> None:
    isolate.fail(isolate.with_key(1), refused())
    isolate.fail(isolate.with_key(2), limited(600))
    fault = isolate.fail(isolate.with_key(3), limited(900))
    assert fault.retry_after == 11  # its breaker is open for 10 s and the jitter
    assert fault.quota == "account"


def test_keys_of_one_account_are_limited_together(catalog: Catalog, time: Time) -> None:
    isolate = Isolate(catalog, time, OPENAI_KEYS_SHARE_QUOTA="on")
    for status in (429, 402):
        kind = "rate_limited" if status == 429 else "unauthorized"
        fault = make(kind, status, 5)  # type: ignore[arg-type]
        isolate.keys.observe(isolate.with_key(1), isolate.permit, {}, fault)
        assert fault.blame == "provider"
    assert isolate.permit.observed[0] == ("openai", "gpt", "rate_limited")
    assert states(isolate) == ["usable"] * 3
    assert isolate.fail(isolate.with_key(1), refused()).blame == "key"
    assert states(isolate)[0] == "refused"


@pytest.mark.parametrize(
    "fault",
    [
        Fault("bad_request", "no"),
        Fault("unavailable", "down"),
        Fault("unauthorized", "this model", blame="model"),
        Fault("rate_limited", "a vendor", blame="caller"),
        Fault("rate_limited", "a vendor", blame="model"),
    ],
)
def test_what_is_no_keys_fault_moves_no_key(isolate: Isolate, fault: Fault) -> None:
    blame = fault.blame
    isolate.fail(isolate.with_key(1), fault)
    assert fault.blame == blame
    assert states(isolate) == ["usable"] * 3


def test_what_is_left_of_one_account_says_nothing_of_the_others(isolate: Isolate) -> None:
    isolate.keys.observe(isolate.with_key(1), isolate.permit, {"x-ratelimit-remaining": "0"})
    assert isolate.permit.observed == []


def test_a_reset_wakes_all(isolate: Isolate, time: Time) -> None:
    isolate.fail(isolate.with_key(1), limited(3000))
    isolate.fail(isolate.with_key(2), refused())
    isolate.breakers.reset(time.now, "openai")
    isolate.keys.clear("openai")
    assert states(isolate) == ["usable"] * 3


def test_isolates_share_what_is_set_aside(catalog: Catalog, time: Time) -> None:
    here, there = Isolate(catalog, time), Isolate(catalog, time)
    here.fail(here.with_key(2), refused())
    there.breakers.adopt(here.breakers.take_changes(), time.now)
    assert states(there) == ["usable", "refused", "usable"]
    assert 2 not in {there.assign().key_number for _ in range(6)}


def test_no_key_is_shown(isolate: Isolate) -> None:
    isolate.fail(isolate.with_key(1), refused())
    shown = repr(isolate.keys.views("openai")) + repr(isolate.keys.choose("openai"))
    shown += repr(isolate.breakers.views(NOW))
    assert "key-of-openai" not in shown
    assert a_conversation("one").key != a_conversation("two").key


def barred() -> Fault:
    fault = make("unauthorized", 403)
    fault.blame = "model"
    return fault


def test_a_key_that_may_not_use_a_model_is_passed_over_for_it(isolate: Isolate, time: Time) -> None:
    fault = isolate.fail(isolate.with_key(2), barred())
    assert (fault.blame, fault.refuses_key) == ("key", False)
    assert isolate.keys.views("openai")[1] == KeyView(2, "usable", None, {"gpt": NOW + 300_000})
    assert 2 not in {isolate.assign().key_number for _ in range(6)}
    others = [isolate.keys.choose("openai", model="gpt-big") for _ in range(3)]
    assert {other.number for other in others if other} == {1, 2, 3}
    assert isolate.breakers.openness("openai", "gpt", NOW) == 0
    time.now += 300_000
    assert 2 in {isolate.assign().key_number for _ in range(3)}


def test_the_model_is_at_fault_when_no_key_may_use_it(isolate: Isolate) -> None:
    blames = [isolate.fail(isolate.with_key(n), barred()).blame for n in (1, 2, 3)]
    assert blames == ["key", "key", "model"]
    assert isolate.breakers.openness("openai", "gpt", NOW) > 0
    assert isolate.breakers.openness("openai", "gpt-big", NOW) == 0
    assert isolate.keys.openness("openai") == 0
    isolate.keys.clear("openai")
    assert [view.models for view in isolate.keys.views("openai")] == [{}] * 3


def test_a_barred_key_among_resting_ones_makes_the_model_limited(isolate: Isolate) -> None:
    isolate.fail(isolate.with_key(1), limited(30))
    isolate.fail(isolate.with_key(2), limited(40))
    fault = isolate.fail(isolate.with_key(3), barred())
    assert (fault.blame, fault.retry_after, fault.quota) == ("key", 30, "model")
    assert isolate.permit.observed == [("openai", "gpt", "rate_limited")]
    assert isolate.breakers.openness("openai", "gpt", NOW) == 0


def test_the_last_to_rest_is_limited_until_the_first_that_may_use_the_model_wakes(
    isolate: Isolate,
) -> None:
    isolate.fail(isolate.with_key(1), barred())
    isolate.fail(isolate.with_key(2), limited(40, "model"))
    fault = isolate.fail(isolate.with_key(3), limited(90, "model"))
    assert (fault.blame, fault.retry_after) == ("provider", 40)

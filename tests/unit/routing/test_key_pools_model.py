"""Pools of keys against a plain model of them: one isolate's calls, any clock, many isolates."""

import random
from collections import Counter

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from proxy.core.errors import OK, Fault
from proxy.providers.target import Target
from proxy.routing.breaker import LONGEST_OPEN_MS, PROBE_MS, Transition
from proxy.routing.breakers import Admission
from proxy.routing.rests import LONGEST_GUESS_MS, Rests
from tests.unit.routing.making import made_catalog
from tests.unit.routing.making_keys import KEYS, NOW, Isolate, a_conversation, limited, make

CATALOG = made_catalog()
MODELS = st.sampled_from(["gpt", "gpt-big"])
SCOPES = {"account": "", "model": "gpt"}


class Machine(RuleBasedStateMachine):
    """The pool of one isolate, with its calls under way, and what each key was told."""

    def __init__(self) -> None:
        super().__init__()
        self.now = NOW
        self.isolate = Isolate(CATALOG, lambda: self.now)
        self.under_way: list[tuple[Target, Admission]] = []
        self.rests: dict[tuple[int, str], int] = {}
        self.aside: dict[int, tuple[int, int]] = {}  # from when on, at least and at most

    def rests_for(self, number: int, model: str) -> bool:
        return any(self.rests.get((number, scope), 0) > self.now for scope in ("", model))

    def is_awake(self, number: int, model: str) -> bool:
        """Whether it may be chosen for sure."""
        return number not in self.aside and not self.rests_for(number, model)

    @rule(model=MODELS, session=st.sampled_from([None, "a", "b", "c"]))
    def call(self, model: str, session: str | None) -> None:
        conversation = a_conversation(session) if session else None
        target = self.isolate.keys.assign(self.isolate.target(model), lambda: conversation)
        assert target
        number = target.key_number
        if any(self.is_awake(each, model) for each in (1, 2, 3)):
            assert not self.rests_for(number, model)
            if number in self.aside:  # then it is its re-check, and not too soon
                assert self.now >= self.aside[number][0]
        key = f"openai#{number}"
        admission = self.isolate.breakers.begin("openai", model, self.now, key)
        self.under_way.append((target, admission))

    @invariant()
    def one_probe_at_most(self) -> None:
        probes = Counter(
            target.key_number
            for target, admission in self.under_way
            if admission.tickets[2].probe
            and self.isolate.breakers._providers[admission.key]._era == admission.tickets[2].era
        )
        assert max(probes.values(), default=0) <= 1

    @precondition(lambda self: self.under_way)
    @rule(data=st.data(), seconds=st.integers(1, 4000), quota=st.sampled_from([*SCOPES]))
    def is_limited(self, data: st.DataObject, seconds: int, quota: str) -> None:
        target = self._end(data, limited(seconds, quota))  # type: ignore[arg-type]
        scope = "" if quota == "account" else target.model.id
        until = self.now + 1000 * min(seconds, 3600)
        place = target.key_number, scope
        self.rests[place] = max(until, self.rests.get(place, 0))

    @precondition(lambda self: self.under_way)
    @rule(data=st.data())
    def is_refused(self, data: st.DataObject) -> None:
        target = self._end(data, make("unauthorized", 401))
        view = self.isolate.breakers.view(f"openai#{target.key_number}", self.now)
        assert view
        if view.phase == "open":
            assert view.open_until
            assert 0 < view.open_until - self.now <= LONGEST_OPEN_MS
            self.aside[target.key_number] = view.open_until, view.open_until

    @precondition(lambda self: self.under_way)
    @rule(data=st.data())
    def succeeds(self, data: st.DataObject) -> None:
        target = self._end(data, None)
        view = self.isolate.breakers.view(f"openai#{target.key_number}", self.now)
        assert view
        if view.phase == "closed":
            self.aside.pop(target.key_number, None)

    @rule(ms=st.integers(0, 400_000))
    def tick(self, ms: int) -> None:
        self.now += ms
        self.under_way = [
            (target, admission)
            for target, admission in self.under_way
            if not admission.tickets[2].probe or ms < PROBE_MS
        ]

    @invariant()
    def no_key_is_shown(self) -> None:
        keys = self.isolate.keys
        shown = msgspec.json.encode(keys.views("openai")) + repr(keys.views("openai")).encode()
        assert not any(key.encode() in shown for key in KEYS)

    @invariant()
    def each_rest_is_shown(self) -> None:
        for view in self.isolate.keys.views("openai"):
            if view.state != "refused":
                told = self.rests.get((view.number, ""), 0)
                assert view.until == (told if told > self.now else None)

    def _end(self, data: st.DataObject, fault: Fault | None) -> Target:
        place = data.draw(st.integers(0, len(self.under_way) - 1))
        target, admission = self.under_way.pop(place)
        isolate = self.isolate
        if fault:
            isolate.keys.observe(target, isolate.permit, {}, fault)
        outcome = fault.outcome if fault else OK
        refused = fault is not None and fault.refuses_key
        isolate.breakers.report(admission, outcome, self.now, key_refused=refused)
        return target


TestMachine = Machine.TestCase


@given(
    st.lists(st.tuples(st.integers(-(10**8), 10**8), st.none() | st.integers(0, 10**7)), max_size=9)
)
def test_whatever_the_clock_does_no_rest_is_longer_than_told(
    steps: list[tuple[int, int | None]],
) -> None:
    rests, now, longest = Rests(), NOW, 0
    for step, told in steps:
        now += step
        rests.begin(1, "", told, now)
        longest = max(longest, LONGEST_GUESS_MS if not told else min(told, 3_600_000))
        until = rests.until(1, ("",), now)
        assert now < until <= now + longest
    assert rests.until(1, ("",), now + longest) == 0


def test_many_isolates_use_all_of_each_keys_quota_and_little_more() -> None:
    """Each key may be called 10 times a second; 20 isolates want 20 calls a second together."""
    now, chance = NOW, random.Random(1)
    isolates = [Isolate(CATALOG, lambda: now) for _ in range(20)]
    answered, limited_calls, lost = Counter[int](), 0, 0
    for second in range(60):
        spent = Counter[int]()
        for call in range(20):
            now = NOW + second * 1000 + call * 50
            isolate, tried = chance.choice(isolates), set[int]()
            target = isolate.keys.assign(isolate.target(), lambda: None)
            while target:
                number = target.key_number
                spent[number] += 1
                if spent[number] <= 10:
                    answered[number] += 1
                    break
                limited_calls += 1
                wait = (1000 - now % 1000) / 1000
                isolate.fail(target, limited(wait))
                tried.add(number)
                target = isolate.keys.assign(isolate.target(), lambda: None, tried)
            else:
                lost += 1
    assert lost == 0  # a key that was awake somewhere was always found
    assert min(answered.values()) > 300
    assert limited_calls < 60


def test_a_dead_key_costs_many_isolates_one_call_each_and_one_probe_a_time() -> None:
    now = NOW
    isolates = [Isolate(CATALOG, lambda: now) for _ in range(20)]
    refused = 0
    for step in range(2_400):  # ten minutes, a call each 250 ms
        now = NOW + step * 250
        isolate = isolates[step % 20]
        target = isolate.assign()
        if target.key_number == 2:
            refused += 1
            isolate.fail(target, make("unauthorized", 401))
        if step % 12 == 0:  # the board, every 3 s
            news: dict[str, Transition] = {}
            for each in isolates:
                news |= each.breakers.take_changes()
            for each in isolates:
                each.breakers.adopt(news, now)
    assert refused < 30

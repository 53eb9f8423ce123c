"""Weighted shares, as for a canary: they hold, and users stay where they are."""

import subprocess
import sys
from collections import Counter
from itertools import repeat
from random import Random

import pytest

from tests.unit.routing.making_strategy import (
    TRIO,
    candidate,
    draws,
    first,
    names,
    notes,
    scores,
    weighted,
    within,
)


@pytest.mark.parametrize("sticky", [False, True])
def test_shares_hold(sticky: bool) -> None:
    random, n = Random(7).random, 20_000
    shares = {"a": 45.0, "b": 4.5, "c": 0.5}
    seen = Counter(
        first(weighted(TRIO, shares, f"user-{i}" if sticky else None, random)) for i in range(n)
    )
    assert within(seen["a"], n, 0.9)
    assert within(seen["b"], n, 0.09)
    assert within(seen["c"], n, 0.01)


def test_the_rest_follows_by_share() -> None:
    shares = {"b": 1.0, "d": 60.0, "c": 39.0}
    some = [candidate(name) for name in "abcde"]
    for i in range(50):
        result = weighted(some, shares, sticky=str(i))
        rest = [name for name in "dcbae" if name != first(result)]
        assert names(result).split()[1:] == rest
        assert scores(result) == {"b": 0.01, "d": 0.6, "c": 0.39, "a": None, "e": None}
        left = notes(result)
        assert left.pop(first(result)) == "drawn"
        assert all(note == ("no share" if name in "ae" else None) for name, note in left.items())


def test_a_user_stays_where_he_is() -> None:
    shares = {"a": 50.0, "b": 50.0}
    for i in range(100):
        user = f"user-{i}"
        there = first(weighted(TRIO, shares, sticky=user))
        again = weighted(TRIO[::-1], shares, sticky=user, random=draws())
        assert first(again) == there


def test_a_user_stays_in_another_process() -> None:
    code = (
        "from tests.unit.routing.making_strategy import TRIO, first, weighted\n"
        "for i in range(40):\n"
        "    print(first(weighted(TRIO, dict(a=1, b=1), f'ü{i}')))"
    )
    run = [sys.executable, "-c", f"import sys; sys.path[:0] = {sys.path!r}\n{code}"]
    other = subprocess.run(run, capture_output=True, text=True, check=True, timeout=60)
    here = [first(weighted(TRIO, {"a": 1, "b": 1}, sticky=f"ü{i}")) for i in range(40)]
    assert other.stdout.split() == here
    assert set(here) == {"a", "b"}


def test_any_text_may_be_a_user() -> None:
    for user in ("", "\0", "\ud800", "ü" * 1000):
        assert weighted(TRIO, {"b": 1}, sticky=user).targets[0].spec.name == "b"


def test_users_move_only_to_the_share_that_grew() -> None:
    def sides(**shares: float) -> list[str]:
        return [first(weighted(TRIO, shares, sticky=f"u{i}")) for i in range(5000)]

    before, after = sides(a=60, b=40), sides(a=60, b=40, c=25)
    moved = [(old, new) for old, new in zip(before, after, strict=True) if old != new]
    assert {new for _, new in moved} == {"c"}
    assert within(len(moved), 5000, 0.2)
    back = sides(a=60, b=30, c=25)
    assert {old for old, new in zip(after, back, strict=True) if old != new} == {"b"}


def test_a_user_stays_on_a_providers_side_with_any_model() -> None:
    def side(user: str, *models: str) -> str:
        made = [candidate(name) for name in models]
        return first(weighted(made, {"a": 1, "b": 1}, sticky=user))

    users = [f"u{i}" for i in range(100)]
    assert [side(u, "a/x", "b/y") for u in users] == [side(u, "b/z", "a/w") for u in users]


def test_a_share_of_one_model_goes_before_its_providers() -> None:
    some = [candidate("a/x"), candidate("a/y"), candidate("a/z"), candidate("b/x")]
    result = weighted(some, {"a": 30, "a/x": 10, "b": 60}, sticky="u")
    scored = {f"{s.provider}/{s.model}": s.score for s in result.scores}
    assert scored == {"a/x": 0.1, "a/y": 0.3, "a/z": None, "b/x": 0.6}


def test_a_share_of_nothing_is_never_drawn() -> None:
    for chance in (0.0, 0.5, 1 - 2**-53):
        result = weighted(TRIO, {"a": 0, "b": 1, "other": 9}, None, repeat(chance).__next__)
        assert names(result) == "b a c"
        assert scores(result)["b"] == 1


def test_without_shares_the_given_order_holds() -> None:
    result = weighted(TRIO, {"a": 0.0})
    assert names(result) == "a b c"
    assert not result.explored
    assert set(notes(result).values()) == {"no share"}

"""What an isolate holds of its buckets, promise by promise."""

import pytest

from proxy.limits import lessee as isolate_side
from proxy.limits.lease import MARGIN, TERM, Grant, LeasedBucket
from proxy.limits.lessee import AHEAD, FORGET, PATIENCE, Known, Lessee
from proxy.limits.token_bucket import Rate

NOW = 1_700_000_000_000
HOUR = 3_600_000
ME = "openai:me"
SECONDLY = Rate(burst=10, per_hour=3600)


def held(
    lessee: Lessee, tokens: int, lease: int = 1, sent: int = NOW, now: int = NOW, name: str = ME
) -> None:
    grant = Grant(lease, tokens, TERM, 0, 5, 60_000)
    lessee.granted(name, grant, sent, now)


@pytest.fixture
def lessee() -> Lessee:
    return Lessee("a", 8)


def test_an_isolate_spends_what_it_was_granted(lessee: Lessee) -> None:
    assert not lessee.spend(ME, 1, NOW)
    held(lessee, 3)
    assert [lessee.spend(ME, n, NOW) for n in (2, 2, 1, 1)] == [True, False, True, False]
    assert not lessee.spend("openai:other", 1, NOW)


def test_one_request_may_take_from_several_leases(lessee: Lessee) -> None:
    held(lessee, 2, lease=1)
    held(lessee, 2, lease=2, sent=NOW - 5000)
    assert lessee.spend(ME, 3, NOW)
    assert lessee.ask_for(ME, SECONDLY, 9, NOW).returns == ((1, 1), (2, 0))  # ends first: spent


def test_nothing_is_spent_when_the_term_since_the_sending_is_over(lessee: Lessee) -> None:
    held(lessee, 2, sent=NOW, now=NOW + 4000)
    assert lessee.spend(ME, 1, NOW + TERM - 1)
    assert not lessee.spend(ME, 1, NOW + TERM)


def test_an_answer_after_the_term_is_worth_nothing(lessee: Lessee) -> None:
    held(lessee, 2, sent=NOW, now=NOW + TERM)
    assert not lessee.spend(ME, 1, NOW + TERM)


def test_a_clock_that_steps_back_makes_no_lease_longer(lessee: Lessee) -> None:
    held(lessee, 2)
    assert lessee.spend(ME, 1, NOW + 6000)
    assert lessee.standing(ME, NOW) == Known(1 + 5, 60_000)
    assert not lessee.spend(ME, 1, NOW + 4000)
    held(lessee, 2, lease=2, sent=NOW + HOUR, now=NOW + 4000)
    assert not lessee.spend(ME, 1, NOW + 4000 + TERM)


def test_a_doubled_answer_adds_nothing(lessee: Lessee) -> None:
    held(lessee, 1)
    assert lessee.spend(ME, 1, NOW)
    held(lessee, 1)
    assert not lessee.spend(ME, 1, NOW)
    assert lessee.ask_for(ME, SECONDLY, 1, NOW).returns == ((1, 0),)
    held(lessee, 1)
    assert not lessee.spend(ME, 1, NOW)


def test_what_is_returned_can_not_be_spent(lessee: Lessee) -> None:
    held(lessee, 3)
    assert lessee.ask_for(ME, SECONDLY, 4, NOW).returns == ((1, 3),)
    assert not lessee.spend(ME, 1, NOW)
    assert lessee.ask_for(ME, SECONDLY, 1, NOW).returns == ()


def test_what_lapsed_in_the_object_is_not_returned(lessee: Lessee) -> None:
    held(lessee, 3)
    held(lessee, 3, lease=2, sent=NOW + 1, now=NOW + 1)
    asked = lessee.ask_for(ME, SECONDLY, 1, NOW + TERM + MARGIN)
    assert asked.returns == ((2, 3),)


def test_it_wants_what_it_spent_in_a_term(lessee: Lessee) -> None:
    def want(now: int, n: int = 1) -> int:
        asked = lessee.ask_for(ME, SECONDLY, n, now).want
        held(lessee, 0, now=now)
        return asked

    assert (want(NOW), want(NOW, n=20)) == (1, 20)
    held(lessee, 6)
    assert all(lessee.spend(ME, 1, NOW + 1000 * i) for i in range(6))
    assert want(NOW + 6000) == 6
    assert want(NOW + 3 * TERM // 2) == 3  # half of the last term is over
    assert want(NOW + 3 * TERM) == 1
    held(lessee, 60, lease=2, sent=NOW + 3 * TERM, now=NOW + 3 * TERM)
    assert lessee.spend(ME, 60, NOW + 3 * TERM)
    assert want(NOW + 3 * TERM) == 8


def test_only_one_of_those_who_ask_at_once_wants_more_than_it_needs(lessee: Lessee) -> None:
    held(lessee, 6)
    assert lessee.spend(ME, 6, NOW)
    asks = [lessee.ask_for(ME, SECONDLY, 1, NOW).want for _ in range(3)]
    assert asks == [6, 1, 1]
    assert lessee.ask_for(ME, SECONDLY, 1, NOW + PATIENCE).want == 6  # the answer was lost
    held(lessee, 0, now=NOW + PATIENCE)
    assert lessee.ask_for(ME, SECONDLY, 1, NOW + PATIENCE).want == 6


def test_with_a_size_of_one_each_request_asks_for_itself() -> None:
    strict = Lessee("a", 1)
    bucket = LeasedBucket(NOW)
    for _ in range(10):
        assert not strict.spend(ME, 1, NOW)
        ask = strict.ask_for(ME, SECONDLY, 1, NOW)
        assert ask.want == 1
        strict.granted(ME, bucket.ask(ask, NOW), NOW, NOW)
        assert strict.spend(ME, 1, NOW)
    assert bucket.show(NOW).held == 1


def test_how_a_bucket_stands(lessee: Lessee) -> None:
    assert lessee.standing(ME, NOW) is None
    held(lessee, 3)
    assert lessee.standing(ME, NOW + 1000) == Known(3 + 5, 59_000)
    assert lessee.standing(ME, NOW + TERM) == Known(5, 50_000)
    assert lessee.standing(ME, NOW + HOUR) == Known(5, 0)
    lessee.granted(ME, Grant(0, 0, 0, None, 2, None), NOW, NOW)
    assert lessee.standing(ME, NOW) == Known(2, None)


def test_what_is_about_to_end_is_given_back(lessee: Lessee) -> None:
    held(lessee, 3)
    held(lessee, 1, name="openai:other")
    assert lessee.spend("openai:other", 1, NOW)
    assert lessee.idle_returns(NOW + TERM - AHEAD - 1) == []
    assert lessee.idle_returns(NOW + TERM - AHEAD) == [(ME, ((1, 3),))]
    assert lessee.idle_returns(NOW + TERM - AHEAD) == []
    assert not lessee.spend(ME, 1, NOW + TERM - AHEAD)


def test_names_are_forgotten(lessee: Lessee, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(isolate_side, "NAMES", 3)
    for name in "abc":
        held(lessee, 2, name=name)
    assert lessee.spend("a", 1, NOW)
    assert not lessee.spend("d", 1, NOW)  # b has to leave for it
    assert [name for name in "acb" if lessee.spend(name, 1, NOW)] == ["a", "c"]
    lessee.idle_returns(NOW + FORGET)
    assert lessee._pools
    lessee.idle_returns(NOW + FORGET + 1)
    assert not lessee._pools

"""What an isolate holds of its buckets, promise by promise."""

import pytest

from proxy.limits import lease_client
from proxy.limits.lease_client import AHEAD, FORGET, PATIENCE, LeaseClient, LeaseKey, Level
from proxy.limits.lease_messages import MARGIN, TERM, LeaseGrant
from proxy.limits.lease_server import LeaseServer
from proxy.limits.token_bucket import Rate
from tests.unit.limits.making import HOUR, NOW
from tests.unit.work import count_steps

KEY, OTHER = LeaseKey("openai:me"), LeaseKey("openai:other")
SECONDLY = Rate(burst=10, per_hour=3600)


def accept(client: LeaseClient, tokens: int, lease: int = 1, sent: int = NOW, now: int = 0) -> None:
    """A lease of KEY that was requested at `sent` and granted at `now`, or at once."""
    client.accept(KEY, LeaseGrant(lease, tokens, TERM, 0, 5, 60_000), sent, now or sent)


@pytest.fixture
def client() -> LeaseClient:
    return LeaseClient("a", 8)


def test_an_isolate_spends_what_it_was_granted(client: LeaseClient) -> None:
    assert not client.spend(KEY, 1, NOW)
    accept(client, 3)
    assert [client.spend(KEY, n, NOW) for n in (2, 2, 1, 1)] == [True, False, True, False]
    assert not client.spend(OTHER, 1, NOW)


def test_what_is_leased_for_one_model_is_not_spent_on_another(client: LeaseClient) -> None:
    accept(client, 3)
    assert not client.spend(KEY._replace(model="m"), 1, NOW)


def test_one_request_may_take_from_several_leases(client: LeaseClient) -> None:
    accept(client, 2, lease=1)
    accept(client, 2, lease=2, sent=NOW - 5000, now=NOW)
    assert client.spend(KEY, 3, NOW)
    returns = client.build_request(KEY, SECONDLY, 9, NOW).returns
    assert returns == ((1, 1), (2, 0))  # the second ends first: spent


def test_nothing_is_spent_when_the_term_since_the_sending_is_over(client: LeaseClient) -> None:
    accept(client, 2, sent=NOW, now=NOW + 4000)
    assert client.spend(KEY, 1, NOW + TERM - 1)
    assert not client.spend(KEY, 1, NOW + TERM)


def test_an_answer_after_the_term_is_worth_nothing(client: LeaseClient) -> None:
    accept(client, 2, sent=NOW, now=NOW + TERM)
    assert not client.spend(KEY, 1, NOW + TERM)


def test_a_clock_that_steps_back_makes_no_lease_longer(client: LeaseClient) -> None:
    accept(client, 2)
    assert client.spend(KEY, 1, NOW + 6000)
    assert client.read_level(KEY, NOW) == Level(1 + 5, 60_000)
    assert not client.spend(KEY, 1, NOW + 4000)
    accept(client, 2, lease=2, sent=NOW + HOUR, now=NOW + 4000)
    assert not client.spend(KEY, 1, NOW + 4000 + TERM)


def test_a_doubled_answer_adds_nothing(client: LeaseClient) -> None:
    accept(client, 1)
    assert client.spend(KEY, 1, NOW)
    accept(client, 1)
    assert not client.spend(KEY, 1, NOW)
    assert client.build_request(KEY, SECONDLY, 1, NOW).returns == ((1, 0),)
    accept(client, 1)
    assert not client.spend(KEY, 1, NOW)


def test_what_is_returned_can_not_be_spent(client: LeaseClient) -> None:
    accept(client, 3)
    assert client.build_request(KEY, SECONDLY, 4, NOW).returns == ((1, 3),)
    assert not client.spend(KEY, 1, NOW)
    assert client.build_request(KEY, SECONDLY, 1, NOW).returns == ()


def test_what_lapsed_in_the_object_is_not_returned(client: LeaseClient) -> None:
    accept(client, 3)
    accept(client, 3, lease=2, sent=NOW + 1)
    request = client.build_request(KEY, SECONDLY, 1, NOW + TERM + MARGIN)
    assert request.returns == ((2, 3),)


def test_it_wants_what_it_spent_in_a_term(client: LeaseClient) -> None:
    def want(now: int, n: int = 1) -> int:
        request = client.build_request(KEY, SECONDLY, n, now)
        accept(client, 0, sent=NOW, now=now)
        return request.want

    assert (want(NOW), want(NOW, n=20)) == (1, 20)
    accept(client, 6)
    assert all(client.spend(KEY, 1, NOW + 1000 * i) for i in range(6))
    assert want(NOW + 6000) == 6
    assert want(NOW + 3 * TERM // 2) == 3  # half of the last term is over
    assert want(NOW + 3 * TERM) == 1
    accept(client, 60, lease=2, sent=NOW + 3 * TERM)
    assert client.spend(KEY, 60, NOW + 3 * TERM)
    assert want(NOW + 3 * TERM) == 8


def test_only_one_of_many_requests_at_once_wants_more_than_it_needs(client: LeaseClient) -> None:
    accept(client, 6)
    assert client.spend(KEY, 6, NOW)
    wants = [client.build_request(KEY, SECONDLY, 1, NOW).want for _ in range(3)]
    assert wants == [6, 1, 1]
    late = NOW + PATIENCE
    assert client.build_request(KEY, SECONDLY, 1, late).want == 6  # the answer was lost
    accept(client, 0, sent=NOW, now=late)
    assert client.build_request(KEY, SECONDLY, 1, late).want == 6


def make_busy(spent: int, *, level: int = 1_000) -> LeaseClient:
    """A client that was granted 40 tokens of KEY, and has spent so many."""
    client = LeaseClient("a", 100)
    client.accept(KEY, LeaseGrant(1, 40, TERM, 0, level, 60_000), NOW, NOW)
    assert all(client.spend(KEY, 1, NOW) for _ in range(spent))
    return client


def test_the_next_lease_is_requested_before_the_last_one_is_used_up() -> None:
    assert make_busy(31).build_request_ahead(KEY, SECONDLY, NOW) is None  # 9 are left
    client = make_busy(32)
    ahead = client.build_request_ahead(KEY, SECONDLY, NOW)
    assert ahead is not None
    assert (ahead.want, ahead.need, ahead.returns) == (16, 1, ())
    assert client.build_request_ahead(KEY, SECONDLY, NOW) is None  # one is on its way
    accept(client, 16, lease=2)
    assert all(client.spend(KEY, 1, NOW) for _ in range(8 + 16))
    assert client.build_request(KEY, SECONDLY, 1, NOW).returns == ((1, 0), (2, 0))


def test_what_was_used_up_goes_back_ahead() -> None:
    client = make_busy(40)
    ahead = client.build_request_ahead(KEY, SECONDLY, NOW)
    assert ahead is not None
    assert ahead.returns == ((1, 0),)


def test_of_a_busy_bucket_a_part_is_leased_and_a_few_of_any_other() -> None:
    client = LeaseClient("a", 100)
    for spent, demand in ((10, 10), (30, 16), (100, 25), (600, 100)):
        now = NOW + 3 * TERM * spent
        client.accept(KEY, LeaseGrant(spent, spent, TERM, 0, 5, 60_000), now, now)
        assert client.spend(KEY, spent, now)
        assert client.build_request(KEY, SECONDLY, 1, now).want == demand
        accept(client, 0, sent=now)


def test_nothing_is_requested_ahead_near_the_limit_or_of_a_quiet_bucket() -> None:
    assert make_busy(40, level=31).build_request_ahead(KEY, SECONDLY, NOW) is None
    assert make_busy(40, level=32).build_request_ahead(KEY, SECONDLY, NOW) is not None
    quiet = LeaseClient("a", 100)
    accept(quiet, 15)
    assert quiet.spend(KEY, 15, NOW)
    assert quiet.build_request_ahead(KEY, SECONDLY, NOW) is None
    assert LeaseClient("a", 1).build_request_ahead(KEY, SECONDLY, NOW) is None


def test_with_a_size_of_one_each_request_asks_for_itself() -> None:
    strict = LeaseClient("a", 1)
    bucket = LeaseServer(NOW)
    for _ in range(10):
        assert not strict.spend(KEY, 1, NOW)
        request = strict.build_request(KEY, SECONDLY, 1, NOW)
        assert request.want == 1
        strict.accept(KEY, bucket.take(request, NOW), NOW, NOW)
        assert strict.spend(KEY, 1, NOW)
    assert bucket.show(NOW).held == 1


def test_how_a_bucket_stands(client: LeaseClient) -> None:
    assert client.read_level(KEY, NOW) is None
    accept(client, 3)
    assert client.read_level(KEY, NOW + 1000) == Level(3 + 5, 59_000)
    assert client.read_level(KEY, NOW + TERM) == Level(5, 50_000)
    assert client.read_level(KEY, NOW + HOUR) == Level(5, 0)
    client.accept(KEY, LeaseGrant(0, 0, 0, None, 2, None), NOW, NOW)
    assert client.read_level(KEY, NOW) == Level(2, None)


def test_what_is_about_to_end_is_given_back(client: LeaseClient) -> None:
    accept(client, 3)
    client.accept(OTHER, LeaseGrant(1, 1, TERM, 0, 5, 60_000), NOW, NOW)
    assert client.spend(OTHER, 1, NOW)
    assert client.collect_returns(NOW + TERM - AHEAD - 1) == []
    assert client.collect_returns(NOW + TERM - AHEAD) == [("openai:me", ((1, 3),))]
    assert client.collect_returns(NOW + TERM - AHEAD) == []
    assert not client.spend(KEY, 1, NOW + TERM - AHEAD)


def test_buckets_are_forgotten(client: LeaseClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease_client, "BUCKETS", 3)
    a, b, c, d = map(LeaseKey, "abcd")
    for key in (a, b, c):
        client.accept(key, LeaseGrant(1, 2, TERM, 0, 5, 60_000), NOW, NOW)
    assert client.spend(a, 1, NOW)
    assert not client.spend(d, 1, NOW)  # b has to leave for it
    assert [key for key in (a, c, b) if client.spend(key, 1, NOW)] == [a, c]
    client.collect_returns(NOW + FORGET)
    assert client._holdings
    client.collect_returns(NOW + FORGET + 1)
    assert not client._holdings


@pytest.mark.parametrize(("late", "returns"), [(0, [("openai:me", ((1, 2),))]), (MARGIN, [])])
def test_what_has_just_ended_is_given_back_after_another_lease(
    client: LeaseClient, late: int, returns: object
) -> None:
    accept(client, 2)
    now = NOW + TERM + late
    client.accept(OTHER, LeaseGrant(1, 1, TERM, 0, 5, 60_000), now, now)
    assert client.collect_returns(now) == returns


def make_worn(leases: int) -> LeaseClient:
    """A client that has given back so many leases of KEY, and holds one of as many others."""
    client = LeaseClient("a", 8)
    for number in range(1, leases + 1):
        accept(client, 1, lease=number)
        client.accept(LeaseKey(f"{number}"), LeaseGrant(1, 2, TERM, 0, 5, 60_000), NOW, NOW)
        assert client.spend(KEY, 1, NOW)
        client.build_request(KEY, SECONDLY, 1, NOW)
    return client


@pytest.mark.parametrize("moment", [0, -500, TERM - AHEAD - 1])
def test_what_ended_or_is_held_elsewhere_makes_no_request_dearer(moment: int) -> None:
    def count(leases: int) -> int:
        client = make_worn(leases)

        def request() -> None:
            assert not client.spend(KEY, 1, NOW + moment)
            client.build_request(KEY, SECONDLY, 1, NOW + moment)
            accept(client, 2, lease=leases + 1, sent=NOW + moment)
            assert client.spend(KEY, 1, NOW + moment)
            assert client.read_level(KEY, NOW + moment)
            assert client.build_request(KEY, SECONDLY, 2, NOW + moment).returns
            assert client.collect_returns(NOW + moment) == []

        return count_steps(request)

    assert count(10_000) <= 1.2 * count(10)


def test_what_ended_is_forgotten_in_the_end(client: LeaseClient) -> None:
    for second in range(60):
        for number in range(10):
            now = NOW + 1000 * second + number
            accept(client, 1, lease=10 * second + number + 1, sent=now)
            assert client.spend(KEY, 1, now)
            client.build_request(KEY, SECONDLY, 1, now)
    assert len(client._find_holding(KEY, now).ended) <= 12 * 10
    assert len(client._endings) <= 12 * 10

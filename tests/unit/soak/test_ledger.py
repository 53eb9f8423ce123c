"""What the soak makes of what was sent."""

from tests.soak.ledger import SURE, Ledger, Outage, Sent, find_most_within, percentile


def sent(began: float, ended: float, status: int = 200, items: int = 0) -> Sent:
    return Sent("ann", "miss", began, ended, status, items=items)


def test_what_no_kill_touched_must_be_counted() -> None:
    ledger = Ledger()
    ledger.outages.append(Outage(killed=100, back=110))
    for each in (
        sent(10, 11),
        sent(20, 21, items=4),  # a batch and its four
        sent(97, 98),  # just done
        sent(99, 101, 0),  # under way
        sent(112, 113),
    ):
        ledger.add(each)
    bounds = ledger.bound_records(ledger.sent)
    assert (bounds.least, bounds.most) == (7, 9)
    assert 6 not in bounds
    assert 7 in bounds
    assert 9 in bounds
    assert 10 not in bounds
    assert ledger.is_sure(sent(90, 100 - SURE - 0.1))
    assert not ledger.is_sure(sent(90, 100 - SURE + 0.1))


def test_a_connection_that_broke_may_have_no_record() -> None:
    ledger = Ledger()
    assert not ledger.is_sure(sent(1, 2, 0))
    assert ledger.is_sure(Sent("ann", "left", 1, 2, 200, is_left=True))


def test_the_most_of_any_window_is_what_began_and_ended_in_it() -> None:
    all_sent = [sent(n, n + 0.5) for n in range(10)] + [sent(3, 3.1, 429), sent(3, 3.1, 402)]
    assert find_most_within(all_sent, 3, lambda _: 1) == 3
    assert find_most_within(all_sent, 3.5, lambda _: 1) == 4
    assert find_most_within([], 3, lambda _: 1) == 0


def test_percentiles() -> None:
    assert percentile([3.0, 1.0, 2.0], 0.5) == 2.0
    assert percentile([], 0.5) == 0.0

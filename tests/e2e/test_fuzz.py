"""A slice of `make fuzz` at the Worker in workerd."""

from tests.fuzz.run_worker import run_worker


def test_no_hostile_request_is_a_mistake_of_the_worker() -> None:
    share, grown = run_worker(1, range(120), lambda _: None)
    assert [(found.faults, found.told) for found in share.findings] == []
    assert share.statuses[200] > 12, share.statuses
    assert grown is None

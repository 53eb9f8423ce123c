"""For all unit tests: how often a property is tried, and what would take time and prove nothing."""

import gc
import os
import signal
from collections.abc import Generator

import pytest
from coverage import Coverage
from hypothesis import settings

settings.register_profile("quick", deadline=None, max_examples=40)
settings.register_profile("thorough", deadline=None, max_examples=1000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))

COVERED_SECONDS = 0.04
"""How long coverage watches a test. Later examples of a property and later hours of a simulation
reach nothing new, and being watched doubles their time."""


def pytest_collection_finish() -> None:
    """Keep the thousands of tests, which live to the end, out of every garbage collection."""
    gc.collect()
    gc.freeze()


def pytest_configure(config: pytest.Config) -> None:
    """Tell pytest of the mark."""
    config.addinivalue_line("markers", "uncovered: coverage does not watch the test at all")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Stop coverage in the middle of a test that takes long, and start it again after the test."""
    coverage = Coverage.current()
    if coverage is None:
        return (yield)
    if is_stopped := item.get_closest_marker("uncovered") is not None:
        coverage.stop()

    def stop(*_: object) -> None:
        nonlocal is_stopped
        is_stopped = True
        coverage.stop()

    if not is_stopped:
        signal.signal(signal.SIGVTALRM, stop)
        signal.setitimer(signal.ITIMER_VIRTUAL, COVERED_SECONDS)
    try:
        return (yield)
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        if is_stopped:
            coverage.start()

"""A slice of `make fuzz` at the pipeline, and that it sees what it is there to see."""

import asyncio
import time

import pytest
from msgspec import structs

from proxy.core.web import Response
from tests.fuzz import run_pipeline
from tests.fuzz.cases import make_case
from tests.fuzz.judge import Answer, find_faults
from tests.fuzz.pipeline import VARIANTS, Fuzzed
from tests.fuzz.run_pipeline import find_growth, run_share

# The timer that ends a case that takes too long may do so anywhere, also where coverage holds its
# lock, and the test would wait for that without end.
pytestmark = pytest.mark.uncovered

SEED = 1
CASES = 1_500


@pytest.mark.parametrize("variant", range(len(VARIANTS)))
def test_no_hostile_request_is_a_mistake_of_the_proxy(variant: int) -> None:
    share = run_share(SEED, range(variant, CASES, len(VARIANTS)))
    assert [(found.faults, found.told) for found in share.findings] == []
    assert share.statuses[200] > CASES / 20, share.statuses


def test_a_case_is_the_same_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    cases = [make_case(SEED, n) for n in range(50)]
    monkeypatch.setattr(time, "time", lambda: 0.0)
    assert [make_case(SEED, n) for n in range(50)] == cases
    assert make_case(SEED, 1) != make_case(SEED + 1, 1)


def _judge(answer: Answer) -> list[str]:
    case = structs.replace(make_case(SEED, 0), method="POST", path="/v1/generate")
    return find_faults(case, answer, [b"a-secret"])


def test_what_a_fault_is() -> None:
    head = {"x-request-id": "req_1"}
    error = b'{"error": {"message": "No."}, "metadata": {"requestId": "req_1"}}'
    assert _judge(Answer(400, head, error)) == []
    assert _judge(Answer(200, head, b"all is well")) == []
    for wrong in (
        Answer(500, head, error),
        Answer(400, {}, error),
        Answer(400, head, b'{"error": {"message": ""}, "metadata": {"requestId": "req_1"}}'),
        Answer(400, head, b"<html>"),
        Answer(200, head, b"... a-secret ..."),
        Answer(200, head | {"x": "a-secret"}, b""),
        Answer(200, head | {"x": "\xe9"}, b""),
        Answer(200, head, b"The proxy made a mistake; it has been logged."),
    ):
        assert _judge(wrong) != [], wrong


def test_growth_is_seen() -> None:
    assert find_growth([(1000, 50_000), (1050, 55_000)]) is None
    assert find_growth([(1000, 50_000), (1200, 50_000)])
    assert find_growth([(1000, 50_000), (1000, 99_000)])


def test_what_hangs_or_raises_or_never_rests_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    async def hang(*_: object) -> Response:
        await asyncio.sleep(1e6)
        raise AssertionError

    async def fail(*_: object) -> Response:
        raise ValueError("qwertz")

    async def spin(*_: object) -> Response:
        while True:
            pass

    monkeypatch.setattr(run_pipeline, "CPU_SECONDS", 0.2)
    for behave, told in ((hang, "within"), (fail, "qwertz"), (spin, "of the processor")):
        monkeypatch.setattr(Fuzzed, "send", behave)
        [found] = run_share(SEED, range(1)).findings
        assert told in found.faults[0]

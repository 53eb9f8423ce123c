"""The exporter: what it sends, what it loses, and that nobody suffers for it."""

from typing import Any

import msgspec
import pytest
from msgspec import structs

from proxy.analytics.record.collector import QUIET, TIMEOUT
from proxy.analytics.record.exporter import BATCH_SIZE, QUEUE_SIZE, Exporter
from proxy.analytics.record.request_record import RequestRecord
from proxy.core.errors import Fault
from proxy.core.ports import Body
from proxy.core.settings import read_settings
from tests.unit.analytics.records import make_record
from tests.unit.doubles import (
    Answerer,
    FakeReply,
    FakeUpstream,
    Logbook,
    LoopClock,
    in_no_time,
    ports,
)

ENV = {
    "OTEL_EXPORTER_OTLP_ENDPOINT": "https://collector.example/otlp/",
    "OTEL_EXPORTER_OTLP_HEADERS": "Authorization=Bearer%20s3cret,x-team=a%3Db",
}
RESOURCE = {"service.version": "0.1.0", "deployment.environment.name": "staging"}


def traced(number: int = 0) -> RequestRecord:
    return make_record(
        id=f"req_{number}",
        attempts=(),
        trace="4bf92f3577b34da6a3ce929d0e0e4736",
        span=f"{number + 1:016x}",
    )


class House:
    """An exporter whose collector is scripted."""

    def __init__(self, answer: Answerer) -> None:
        self.clock = LoopClock()
        self.log = Logbook()
        self.upstream = FakeUpstream(answer)
        outside = structs.replace(
            ports(answer), upstream=self.upstream, clock=self.clock, log=self.log
        )
        self.exporter = Exporter(read_settings(ENV, ()).traces, RESOURCE, outside)

    async def send(self, count: int = 1) -> None:
        for number in range(count):
            self.exporter.add(traced(number))
        await self.exporter.flush()

    @property
    def sent(self) -> list[list[str]]:
        """The requests' ids by batch."""
        return [_ids(outgoing.body) for outgoing in self.upstream.sent]


def _ids(body: Body | None) -> list[str]:
    assert isinstance(body, bytes)
    [resource] = msgspec.json.decode(body)["resourceSpans"]
    spans: list[dict[str, Any]] = resource["scopeSpans"][0]["spans"]
    return [
        a["value"]["stringValue"]
        for span in spans
        for a in span["attributes"]
        if a["key"] == "proxy.request_id"
    ]


def answering(*statuses: int) -> House:
    """A collector that answers these, the last one for ever."""
    left = list(statuses)
    return House(lambda _: FakeReply(b"{}", status=left.pop(0) if len(left) > 1 else left[0]))


async def test_a_batch_goes_to_the_collector_as_it_is_set() -> None:
    house = answering(200)
    await house.send(2)
    [outgoing] = house.upstream.sent
    body = outgoing.body
    assert isinstance(body, bytes)
    assert outgoing.url == "https://collector.example/otlp/v1/traces"
    assert outgoing.method == "POST"
    assert outgoing.headers == {
        "authorization": "Bearer s3cret",
        "x-team": "a=b",
        "content-type": "application/json",
    }
    [resource] = msgspec.json.decode(body)["resourceSpans"]
    assert {a["key"]: a["value"]["stringValue"] for a in resource["resource"]["attributes"]} == {
        "service.name": "ai-edge-proxy",
        "service.version": "0.1.0",
        "deployment.environment.name": "staging",
    }
    assert house.sent == [["req_0", "req_1"]]
    assert house.log.lines == []
    assert house.exporter.pending == 0


async def test_nothing_is_sent_where_nothing_waits() -> None:
    house = answering(200)
    await house.send(0)
    house.exporter.add(make_record())  # of no trace
    await house.exporter.flush()
    assert house.sent == []


async def test_much_goes_in_batches() -> None:
    house = answering(200)
    await house.send(2 * BATCH_SIZE + 1)
    assert [len(batch) for batch in house.sent] == [BATCH_SIZE, BATCH_SIZE, 1]


async def test_the_oldest_are_dropped_when_too_many_wait() -> None:
    house = answering(400)
    for number in range(QUEUE_SIZE + 3):
        house.exporter.add(traced(number))
    assert house.exporter.pending == QUEUE_SIZE
    await house.exporter.flush()
    assert house.sent[0][0] == "req_3"
    assert house.log.lines[0][2]["lost"] == 3 + BATCH_SIZE


@pytest.mark.parametrize("status", [429, 502, 503, 504])
@in_no_time
async def test_what_may_pass_is_tried_once_more(status: int) -> None:
    house = answering(status, 200)
    await house.send()
    assert house.sent == [["req_0"], ["req_0"]]
    assert house.log.lines == []


@in_no_time
async def test_twice_is_enough() -> None:
    house = answering(503)
    await house.send()
    assert len(house.sent) == 2
    assert house.log.lines == [
        ("warning", "traces not exported", {"error": "status 503", "lost": 1})
    ]


@pytest.mark.parametrize("status", [301, 400, 401, 404, 413, 500])
async def test_what_will_not_pass_is_not_tried_again(status: int) -> None:
    house = answering(status)
    await house.send()
    assert len(house.sent) == 1
    assert house.log.lines[0][2]["error"] == f"status {status}"


@in_no_time
async def test_a_collector_that_is_silent_is_given_up() -> None:
    house = House(lambda _: TIMEOUT * 10)
    began = house.clock.now()
    await house.send()
    assert house.clock.now() - began == pytest.approx(TIMEOUT)
    assert house.log.lines[0][2]["error"] == "timeout"


async def test_no_failure_comes_out_and_no_secret_is_logged() -> None:
    def broken(_: object) -> FakeReply:
        raise RuntimeError("https://collector.example/otlp Bearer s3cret")

    for answer, error in (
        (lambda _: Fault("network", "away"), "network"),
        (broken, "RuntimeError"),
    ):
        house = House(answer)
        await house.send()
        assert house.log.lines[0][2]["error"] == error
        assert "s3cret" not in repr(house.log.lines)
        assert "collector" not in repr(house.log.lines)


async def test_an_ill_collector_is_left_alone_until_the_next_flush() -> None:
    house = answering(500, 200)
    await house.send(BATCH_SIZE + 5)
    assert len(house.sent) == 1
    assert house.exporter.pending == 5
    await house.exporter.flush()
    assert len(house.sent[1]) == 5


async def test_trouble_is_logged_once_a_minute_with_all_that_was_lost() -> None:
    house = answering(500)
    await house.send(2)
    await house.send(3)
    house.clock.time += QUIET - 1
    await house.send(4)
    assert [fields["lost"] for *_, fields in house.log.lines] == [2]
    house.clock.time += 1
    await house.send(5)
    assert [fields["lost"] for *_, fields in house.log.lines] == [2, 12]


async def test_a_clock_that_steps_back_silences_nothing() -> None:
    house = answering(500)
    await house.send()
    house.clock.time -= 100_000
    await house.send()
    assert len(house.log.lines) == 2

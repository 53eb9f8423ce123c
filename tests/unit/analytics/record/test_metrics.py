"""Metrics in OTLP's JSON, read back with OpenTelemetry's own messages."""

from typing import Any

import msgspec
import pytest
from google.protobuf import json_format  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.metrics.v1.metrics_pb2 import AggregationTemporality, Metric

from proxy.analytics.record.metric_exporter import OTHERS, QUEUE_SIZE, MetricExporter
from proxy.analytics.record.metric_sums import SERIES, MetricSums
from proxy.analytics.record.request_record import RequestRecord
from proxy.core.errors import Fault
from proxy.core.ports import Body
from proxy.core.settings import read_settings
from tests.unit.analytics.records import RECORDS, make_attempt, make_record
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
    "OTEL_EXPORTER_OTLP_ENDPOINT": "https://collector.example",
    "OTEL_EXPORTER_OTLP_HEADERS": "authorization=s3cret",
    "OTEL_METRICS_EXPORTER": "otlp",
}
LLAMA = "llama-3.3-70b-versatile"
NAMED = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "groq",
    "gen_ai.request.model": LLAMA,
}
ANSWERED = NAMED | {"gen_ai.response.model": LLAMA}


def parse(body: Body | None) -> dict[str, Metric]:
    """What a collector understands. An unknown field or a wrong form is an error."""
    assert isinstance(body, bytes)
    told = msgspec.json.decode(body)
    for metric in told["resourceMetrics"][0]["scopeMetrics"][0]["metrics"]:
        for point in (metric.get("histogram") or metric["sum"])["dataPoints"]:
            # protobuf's reader would take numbers too, a collector might not
            assert isinstance(point["startTimeUnixNano"], str)
            assert all(isinstance(count, str) for count in point.get("bucketCounts", ()))
    request = ExportMetricsServiceRequest()
    json_format.ParseDict(told, request)
    [resource] = request.resource_metrics
    [scope] = resource.scope_metrics
    metrics = {metric.name: metric for metric in scope.metrics}
    assert len(metrics) == len(scope.metrics)
    return metrics


def points(metric: Metric) -> list[tuple[dict[str, Any], Any]]:
    """Attributes and points; all are deltas."""
    data = metric.histogram if metric.WhichOneof("data") == "histogram" else metric.sum
    assert data.aggregation_temporality == AggregationTemporality.AGGREGATION_TEMPORALITY_DELTA
    return [
        ({a.key: getattr(a.value, a.value.WhichOneof("value") or "") for a in p.attributes}, p)
        for p in data.data_points
    ]


def count(*records: RequestRecord) -> dict[str, Metric]:
    sums = MetricSums(1.0, lambda provider, model, answered: model)
    for record in records:
        sums.add(record)
    return parse(sums.encode({"service.name": "p"}, 2.0))


def test_an_answer_of_a_provider() -> None:
    found = count(make_record(ms=120))
    [(named, operation)] = points(found["gen_ai.client.operation.duration"])
    assert named == ANSWERED
    assert (operation.count, operation.sum) == (1, 0.116)
    assert operation.explicit_bounds[:3] == [0.01, 0.02, 0.04]
    assert operation.explicit_bounds[-1] == 81.92
    assert [n for n, hits in enumerate(operation.bucket_counts) if hits] == [4]
    assert len(operation.bucket_counts) == len(operation.explicit_bounds) + 1
    assert (operation.start_time_unix_nano, operation.time_unix_nano) == (10**9, 2 * 10**9)
    tokens = {
        named.pop("gen_ai.token.type"): (named, point)
        for named, point in points(found["gen_ai.client.token.usage"])
    }
    assert tokens["input"][0] == tokens["output"][0] == ANSWERED
    assert (tokens["input"][1].sum, tokens["output"][1].sum) == (25, 150)
    assert tokens["input"][1].explicit_bounds[:4] == [1, 4, 16, 64]
    [(named, request)] = points(found["gen_ai.server.request.duration"])
    assert (named, request.sum) == (ANSWERED, 0.12)
    [(named, cost)] = points(found["proxy.cost.usd"])
    assert (named, cost.as_double) == ({"provider": "groq", "model": LLAMA}, 0.0002)
    assert found["proxy.cost.usd"].sum.is_monotonic
    [(named, _)] = points(found["proxy.cache.requests"])
    assert named == {"result": "miss", "tier": ""}
    assert "gen_ai.server.time_to_first_token" not in found


def test_a_stream_has_times_to_its_first_content() -> None:
    tries = (make_attempt(start=184),)
    found = count(make_record(ms=900, first_ms=300, stream=True, ended="ok", attempts=tries))
    [(_, first)] = points(found["gen_ai.server.time_to_first_token"])
    assert (first.sum, first.explicit_bounds[0], first.explicit_bounds[-1]) == (0.3, 0.001, 10)
    [(named, chunk)] = points(found["gen_ai.client.operation.time_to_first_chunk"])
    assert (named, chunk.sum) == (NAMED, 0.116)
    [(_, operation)] = points(found["gen_ai.client.operation.duration"])
    assert operation.sum == pytest.approx(0.716)


def test_what_fell_back_is_an_operation_that_failed_and_one_that_did_not() -> None:
    tries = (make_attempt("timeout", provider="xai", ms=50), make_attempt())
    found = count(make_record(ms=400, attempts=tries))
    operations = points(found["gen_ai.client.operation.duration"])
    failed = NAMED | {"gen_ai.provider.name": "x_ai", "error.type": "timeout"}
    assert [named for named, _ in operations] == [failed, ANSWERED]


def test_refusals_have_no_provider() -> None:
    limited = {"status": 429, "error": "rate_limit_exceeded", "source": "proxy"}
    found = count(
        make_record(**limited, provider="", model="", attempts=(), cost=None, cache_status="")
    )
    assert set(found) == {"gen_ai.server.request.duration", "proxy.limited.requests"}
    [(named, _)] = points(found["gen_ai.server.request.duration"])
    assert named == {"gen_ai.operation.name": "chat", "error.type": "rate_limit_exceeded"}
    [(named, _)] = points(found["proxy.limited.requests"])
    assert named == {"endpoint": "/v1/chat/completions"}


def test_a_hit_reached_no_provider() -> None:
    found = count(make_record(cache_status="hit", cache_tier="kv", cost=0, saved=5_000_000))
    assert set(found) == {
        "gen_ai.server.request.duration",
        "proxy.cache.requests",
        "proxy.cost.saved_usd",
    }
    [(named, _)] = points(found["proxy.cache.requests"])
    assert named == {"result": "hit", "tier": "kv"}


def test_what_was_estimated_is_no_usage() -> None:
    assert "gen_ai.client.token.usage" not in count(make_record(cost_origin="estimated"))


def test_what_is_for_no_model_is_no_metric() -> None:
    assert count(make_record(endpoint="/admin/keys", status=200)) == {}


@given(st.lists(RECORDS, max_size=5), st.lists(RECORDS, max_size=5))
def test_what_is_merged_is_what_was_counted_together(
    first: list[RequestRecord], second: list[RequestRecord]
) -> None:
    def key(metrics: dict[str, Metric]) -> Any:
        return {
            name: sorted(
                (sorted(named.items()), getattr(p, "bucket_counts", [])[:], getattr(p, "count", 0))
                for named, p in points(metric)
            )
            for name, metric in metrics.items()
        }

    first, second = [
        [structs.replace(r, endpoint="/v1/generate", attempts=r.attempts) for r in some]
        for some in (first, second)
    ]
    one, other = (MetricSums(1.0, lambda p, m, a: m) for _ in range(2))
    for sums, some in ((one, first), (other, second)):
        for record in some:
            sums.add(record)
    one.merge(other)
    merged = parse(one.encode({}, 2.0))
    assert key(merged) == key(count(*first, *second))


def test_sets_of_attributes_are_bounded() -> None:
    sums = MetricSums(1.0, lambda p, m, a: m)
    for number in range(SERIES + 50):
        sums.add(make_record(model=f"m{number}", attempts=()))
    found = points(parse(sums.encode({}, 2.0))["gen_ai.server.request.duration"])
    assert len(found) == SERIES + 1
    assert found[-1][0] == {"otel.metric.overflow": True}
    assert found[-1][1].count == 50


class House:
    """An exporter whose collector is scripted."""

    def __init__(self, answer: Answerer) -> None:
        self.log = Logbook()
        self.upstream = FakeUpstream(answer)
        outside = structs.replace(
            ports(answer), upstream=self.upstream, clock=LoopClock(), log=self.log
        )
        settings = read_settings(ENV, ()).traces
        self.exporter = MetricExporter(settings, {}, outside, {("groq", LLAMA)})

    async def send(self, *records: RequestRecord) -> None:
        for record in records:
            self.exporter.add(record)
        await self.exporter.flush()

    def counts(self) -> list[int]:
        """Requests of each batch."""
        name = "gen_ai.server.request.duration"
        bodies = [parse(outgoing.body) for outgoing in self.upstream.sent]
        return [sum(point.count for _, point in points(body[name])) for body in bodies]


@in_no_time
async def test_each_request_is_sent_once() -> None:
    house = House(lambda _: FakeReply(b"{}"))
    await house.send(make_record(), make_record())
    await house.send()
    await house.send(make_record())
    assert house.counts() == [2, 1]
    [first, _] = house.upstream.sent
    assert first.url == "https://collector.example/v1/metrics"
    assert first.headers["authorization"] == "s3cret"


@in_no_time
async def test_what_is_refused_for_now_is_sent_with_what_comes_next() -> None:
    left = [503, 429, 200]
    house = House(lambda _: FakeReply(b"{}", status=left.pop(0) if len(left) > 1 else left[0]))
    await house.send(make_record())
    await house.send(make_record())
    assert house.counts() == [1, 1, 2]
    assert house.log.lines[0][1] == "metrics not exported"
    assert house.log.lines[0][2]["lost"] == 0


@pytest.mark.parametrize("answer", [Fault("network", "s3cret"), 1000.0, FakeReply(b"", status=404)])
def test_what_may_have_been_taken_is_not_sent_again(answer: Any) -> None:
    @in_no_time
    async def play() -> None:
        house = House(lambda _: answer)
        await house.send(make_record(), make_record())
        await house.send()
        assert house.counts() == [2]
        [(_, event, fields)] = house.log.lines
        assert (event, fields["lost"]) == ("metrics not exported", 2)
        assert "s3cret" not in str(fields)

    play()


@in_no_time
async def test_names_of_callers_are_bounded() -> None:
    house = House(lambda _: FakeReply(b"{}"))
    unknown = [make_record(model=f"x{n}", status=404, error="not_found", attempts=()) for n in "ab"]
    answered = [make_record(model=f"m{n}", attempts=()) for n in range(OTHERS + 5)]
    await house.send(make_record(), *unknown, *answered)
    [body] = [parse(outgoing.body) for outgoing in house.upstream.sent]
    named = points(body["gen_ai.server.request.duration"])
    models = {attributes["gen_ai.request.model"] for attributes, _ in named}
    assert len(models) == OTHERS + 2
    assert {LLAMA, "(other)"} < models
    assert not {"xa", "xb"} & models


@in_no_time
async def test_the_queue_is_bounded() -> None:
    house = House(lambda _: FakeReply(b"{}"))
    await house.send(*[make_record()] * (QUEUE_SIZE + 7))
    assert house.counts() == [QUEUE_SIZE]

"""/metrics as Prometheus' own parser reads it: names, sums, histograms, and what is bounded."""

import re
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from proxy.analytics.query import prometheus
from proxy.analytics.query.exposition import BOUNDS
from proxy.analytics.query.prometheus import GROUPED_BY, PAIRS, Gauges, render_metrics
from proxy.analytics.record.request_record import RequestRecord
from proxy.analytics.store.messages import Sums, SumsGroup
from proxy.analytics.store.totals import Totals
from proxy.core.principal import OTHER
from tests.unit.analytics.records import HOSTILE, RECORDS, make_attempt, make_record, split_attempts

GAUGES = Gauges(version="0.1.0", environment="staging")
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def sum_up(records: Iterable[RequestRecord], lost: int = 0) -> Sums:
    """What the roll-ups keep of records, for ever."""
    groups: dict[tuple[Any, ...], SumsGroup] = {}
    for place, totals in (part for record in records for part in split_attempts(record)):
        key = tuple(getattr(place, name) for name in GROUPED_BY)
        if key not in groups:
            groups[key] = SumsGroup(key=dict(zip(GROUPED_BY, key, strict=True)), totals=Totals())
        groups[key].totals.add(totals)
    return Sums(groups=list(groups.values()), lost=lost)


def families(page: bytes) -> list[Metric]:
    return list(text_string_to_metric_families(page.decode()))


def samples(page: bytes) -> Samples:
    """Each sample's value by its name and labels; none may be there twice."""
    read: Samples = {}
    for family in families(page):
        for sample in family.samples:
            key = (sample.name, frozenset(sample.labels.items()))
            assert key not in read
            read[key] = sample.value
    return read


class Read:
    """A page and its samples."""

    def __init__(self, *records: RequestRecord, gauges: Gauges = GAUGES, lost: int = 0) -> None:
        self.samples = samples(render_metrics(sum_up(records, lost), gauges))

    def __call__(self, name: str, **labels: str) -> float:
        return self.samples[name, frozenset(labels.items())]

    def of(self, name: str) -> list[dict[str, str]]:
        return [dict(labels) for family, labels in self.samples if family == name]


def test_an_answer_is_counted() -> None:
    read = Read(make_record(cached=5, reasoning=7, bytes_in=300, bytes_out=900), make_record(ms=30))
    pair = {"provider": "groq", "model": "llama-3.3-70b-versatile"}
    path = "/v1/chat/completions"
    assert read("proxy_requests_total", endpoint=path, status="200", **pair) == 2
    assert read("proxy_errors_total", endpoint=path, **pair) == 0
    assert read("proxy_tokens_total", type="input", **pair) == 50
    assert read("proxy_tokens_total", type="output", **pair) == 300
    assert read("proxy_tokens_total", type="cached", **pair) == 5
    assert read("proxy_tokens_total", type="reasoning", **pair) == 7
    assert read("proxy_cost_usd_total", **pair) == 0.0004
    assert read("proxy_attempts_total", endpoint=path, **pair) == 2
    assert read("proxy_cache_requests_total", result="miss", tier="") == 2
    assert read("proxy_cache_requests_total", result="hit", tier="memory") == 0
    assert read("proxy_request_bytes_total", endpoint=path) == 300
    assert read("proxy_response_bytes_total", endpoint=path) == 900
    assert read("proxy_request_duration_seconds_sum", endpoint=path) == 0.15
    assert read("proxy_request_duration_seconds_count", endpoint=path) == 2


def test_errors_are_counted_where_they_belong() -> None:
    path = "/v1/generate"
    read = Read(
        make_record(
            endpoint=path, status=502, provider="", model="", error="provider_error", cost=None
        ),
        make_record(endpoint=path, status=429, provider="", model="", error="rate_limit_exceeded"),
        make_record(endpoint=path, error="provider_error", ended="network"),
        make_record(endpoint=path, ended="client_gone"),
    )
    nobody = {"endpoint": path, "provider": "", "model": ""}
    assert read("proxy_requests_total", status="502", **nobody) == 1
    assert read("proxy_errors_total", **nobody) == 2
    assert read("proxy_limited_requests_total", endpoint=path) == 1
    assert read("proxy_client_gone_total", endpoint=path) == 1
    groq = {"provider": "groq", "model": "llama-3.3-70b-versatile"}
    assert read("proxy_errors_total", endpoint=path, **groq) == 1


def test_the_cache_and_what_it_saves() -> None:
    hit = {"cache_status": "hit", "cost": 0, "attempts": (), "saved": 1_500_000_000}
    read = Read(
        make_record(cache_tier="memory", **hit),
        make_record(cache_tier="kv", **hit),
        make_record(cache_tier="r2", **hit),
        make_record(cache_tier="", **hit),
        make_record(cache_status="stale", cost=0),
        make_record(cache_status="bypass", cost=None),
    )
    found = {tier: read("proxy_cache_requests_total", result="hit", tier=tier) for tier in TIERS}
    assert found == dict.fromkeys(TIERS, 1)
    assert read("proxy_cache_requests_total", result="stale", tier="") == 1
    assert read("proxy_cache_requests_total", result="bypass", tier="") == 1
    pair = {"provider": "groq", "model": "llama-3.3-70b-versatile"}
    assert read("proxy_cost_saved_usd_total", **pair) == 6
    assert read("proxy_unpriced_requests_total", **pair) == 1


TIERS = ("memory", "kv", "r2", "flight")
GROQS = "llama-3.3-70b-versatile"


def test_fallbacks_and_failed_attempts() -> None:
    read = Read(
        make_record(
            attempts=(
                make_attempt("timeout", "gemini"),
                make_attempt("breaker_open"),
                make_attempt(),
            )
        ),
        make_record(status=502, error="provider_error", attempts=(make_attempt("unavailable"),)),
        make_record(status=400, error="invalid_request", attempts=(make_attempt("bad_request"),)),
    )
    groq, gemini = ({"provider": name, "model": GROQS} for name in ("groq", "gemini"))
    chat = {"endpoint": "/v1/chat/completions"}
    assert read("proxy_attempts_total", **chat, **groq) == 3
    assert read("proxy_failed_attempts_total", **chat, **groq) == 1
    assert read("proxy_attempts_total", **chat, **gemini) == 1
    assert read("proxy_failed_attempts_total", **chat, **gemini) == 1
    assert read("proxy_errors_total", **chat, **groq) == 2
    fallbacks = read("proxy_fallbacks_total", provider="groq", model="llama-3.3-70b-versatile")
    assert fallbacks == 1


def test_the_first_token_of_streams_that_a_provider_answered() -> None:
    pair = {"provider": "groq", "model": "llama-3.3-70b-versatile"}
    name = "proxy_time_to_first_token_seconds"
    read = Read(
        make_record(first_ms=80),
        make_record(first_ms=400),
        make_record(first_ms=1, cache_status="hit"),
        make_record(),
    )
    assert read(f"{name}_count", **pair) == 2
    assert read(f"{name}_sum", **pair) == 0.48
    assert read(f"{name}_bucket", le="0.1", **pair) == 1
    assert read(f"{name}_bucket", le="0.5", **pair) == 2
    assert Read(make_record()).of(f"{name}_count") == []


def test_the_state_beside_the_counters() -> None:
    read = Read(
        lost=3,
        gauges=Gauges(
            version="0.1.0",
            environment="staging",
            breakers={"groq": "open", "groq/llama": "half_open"},
            configured={"groq": True, "openai": False},
            heap_bytes=31_000_000,
            cache_entries=12,
            cache_bytes=3456,
            pending_records=2,
            uptime=1.5,
        ),
    )
    assert read("proxy_breaker_state", breaker="groq", state="open") == 1
    assert read("proxy_breaker_state", breaker="groq", state="closed") == 0
    assert read("proxy_breaker_state", breaker="groq/llama", state="half_open") == 1
    assert read("proxy_provider_configured", provider="groq") == 1
    assert read("proxy_provider_configured", provider="openai") == 0
    assert read("proxy_build_info", version="0.1.0", environment="staging") == 1
    assert read("proxy_analytics_lost_total") == 3
    assert read("proxy_isolate_heap_bytes") == 31_000_000
    assert read("proxy_cache_entries") == 12
    assert read("proxy_cache_bytes") == 3456
    assert read("proxy_isolate_pending_events") == 2
    assert read("proxy_isolate_uptime_seconds") == 1.5
    assert Read().of("proxy_isolate_heap_bytes") == []


# --- what holds for all pages -------------------------------------------------------------


@given(
    st.lists(RECORDS, max_size=5), st.dictionaries(HOSTILE, st.sampled_from(["open"]), max_size=3)
)
def test_hostile_names_are_read_back_as_they_are(
    records: list[RequestRecord], breakers: dict[str, str]
) -> None:
    gauges = Gauges(version="1", environment='"\n\\', breakers=breakers)
    read = samples(render_metrics(sum_up(records), gauges))
    models = {clean(place.model) for r in records for place, _ in split_attempts(r)}
    assert {dict(labels)["model"] for name, labels in read if "cost_usd" in name} == models
    shown = {dict(labels)["breaker"] for name, labels in read if name == "proxy_breaker_state"}
    assert shown == {clean(name) for name in breakers}
    total = sum(value for (name, _), value in read.items() if name == "proxy_requests_total")
    assert total == len(records)


def clean(text: str) -> str:
    return text[:200].replace("\ud800", "?")


@pytest.mark.parametrize(
    "records", [[], [make_record(first_ms=3), make_record(status=500, error="x")]]
)
def test_prometheus_conventions(records: list[RequestRecord]) -> None:
    page = render_metrics(sum_up(records), GAUGES)
    lines = page.decode().splitlines()
    assert page.endswith(b"\n")
    for kind in ("HELP", "TYPE"):
        named = [line.split()[2] for line in lines if line.startswith(f"# {kind} ")]
        assert len(named) == len(set(named)) > 15
    for family in families(page):
        assert re.fullmatch(r"proxy_[a-z_]*[a-z]", family.name)
        assert family.documentation.endswith(".")
        assert not re.search(r"_(ms|milliseconds|kb|count|sum|bucket)$", family.name)
        ends_total = {sample.name.endswith("_total") for sample in family.samples}
        if family.type == "counter":
            assert ends_total <= {True}
            assert f"# TYPE {family.name}_total counter" in lines
        else:
            assert ends_total <= {False}
        if family.type == "histogram":
            assert family.name.endswith("_seconds")
    assert all("user" not in sample.labels for f in families(page) for sample in f.samples)


NEAR = [round(limit * 1000 * part) for limit in BOUNDS for part in (0.95, 1, 1.03, 1.06)]


@given(st.lists(st.integers(0, 400_000) | st.sampled_from(NEAR), min_size=1, max_size=60))
@example(NEAR)
def test_a_histogram_is_within_five_percent_of_the_truth(times: list[int]) -> None:
    read = Read(*(make_record(ms=ms) for ms in times))
    name, path = "proxy_request_duration_seconds", "/v1/chat/completions"
    counts = [read(f"{name}_bucket", endpoint=path, le=str(limit)) for limit in BOUNDS]
    assert counts == sorted(counts)
    for limit, count in zip(BOUNDS, counts, strict=True):
        below = sum(ms <= limit * 1000 / 1.05 for ms in times)
        above = sum(ms <= limit * 1000 * 1.05 for ms in times)
        assert below <= count <= above
    assert read(f"{name}_bucket", endpoint=path, le="+Inf") == len(times)
    assert read(f"{name}_count", endpoint=path) == len(times)
    assert read(f"{name}_sum", endpoint=path) == pytest.approx(sum(times) / 1000)


NAMES = st.sampled_from(["a", "b", "c", "d", "e", "f", "g"])


@settings(max_examples=30)
@given(
    st.lists(st.tuples(st.sampled_from(["groq", "local"]), NAMES, st.integers(1, 5)), max_size=24),
    st.frozensets(st.tuples(st.just("groq"), NAMES), max_size=2),
)
def test_no_counter_goes_down_while_new_models_come(
    came: list[tuple[str, str, int]], catalogue: frozenset[tuple[str, str]]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prometheus, "PAIRS", 3)
        before: Samples = {}
        gone: set[Any] = set()
        for number in range(len(came) + 1):
            records = [
                make_record(provider=provider, model=model, ms=ms, first_ms=ms)
                for provider, model, ms in came[:number]
            ]
            now = samples(render_metrics(sum_up(records), GAUGES, catalogue))
            assert not gone & now.keys()
            gone |= before.keys() - now.keys()
            assert [key for key in before if key in now and now[key] < before[key]] == []
            costs = [key for key in now if key[0] == "proxy_cost_usd_total"]
            assert len([key for key in costs if ("model", OTHER) not in key[1]]) <= 3
            assert sum(now[key] for key in costs) == pytest.approx(0.0002 * number)
            before = now


def test_what_the_catalogue_names_stands_for_itself_and_the_rest_is_bounded() -> None:
    untried: dict[str, Any] = {"attempts": ()}
    records = [
        make_record(provider="local", model=f"a{number:03}", **untried)
        for number in range(PAIRS + 50)
    ]
    records += [make_record(provider="openai", model="gpt-4o", **untried)] * 2
    page = samples(render_metrics(sum_up(records), GAUGES, [("openai", "gpt-4o")]))
    requests = {
        (dict(labels)["provider"], dict(labels)["model"]): value
        for (name, labels), value in page.items()
        if name == "proxy_requests_total"
    }
    assert len(requests) == PAIRS + 1
    assert requests["openai", "gpt-4o"] == 2
    assert requests["local", OTHER] == 51

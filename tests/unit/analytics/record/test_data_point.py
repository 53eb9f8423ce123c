"""Analytics Engine's data points: within the limits, each value in its documented column."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from proxy.analytics.record.data_point import COLUMNS, NOBODY, build_data_point, cut
from proxy.analytics.record.request_record import RequestRecord
from tests.unit.analytics.records import HOSTILE, RECORDS, make_attempt, make_record

DOC = (Path(__file__).parents[4] / "docs/analytics-engine.md").read_text()
QUERIES = re.findall(r"```sql\n(.*?)```", DOC, re.DOTALL)


def row(record: RequestRecord) -> dict[str, object]:
    """The point as a query sees it: values by the columns' names."""
    blobs, doubles, (index,) = structs.astuple(build_data_point(record))
    sql: dict[str, object] = {f"blob{at}": blob for at, blob in enumerate(blobs, 1)}
    sql |= {f"double{at}": double for at, double in enumerate(doubles, 1)}
    sql["index1"] = index
    assert sql.keys() == set(COLUMNS.values())
    return {name: sql[column] for name, column in COLUMNS.items()}


FULL = make_record(
    key_id="key_1",
    error="provider_timeout",
    source="provider",
    cache_tier="kv",
    strategy="fastest",
    attempts=(make_attempt("timeout", "gemini", model="flash"), make_attempt()),
    ended="network",
    country="DE",
    colo="FRA",
    trace="4bf92f3577b34da6a3ce929d0e0e4736",
    cache_key="0123456789abcdef",
    session="s-1",
    first_ms=40,
    stream=True,
    cached=5,
    reasoning=7,
    saved=3_000,
    bytes_in=300,
    bytes_out=900,
)
FULL_ROW = {
    "endpoint": "/v1/chat/completions",
    "provider": "groq",
    "model": "llama-3.3-70b-versatile",
    "asked": "fast",
    "user_name": "ann",
    "key_id": "key_1",
    "error": "provider_timeout",
    "source": "provider",
    "cache": "miss",
    "tier": "kv",
    "strategy": "fastest",
    "attempts": "gemini/flash:timeout, groq/llama-3.3-70b-versatile:ok",
    "ended": "network",
    "cost_origin": "computed",
    "country": "DE",
    "colo": "FRA",
    "request_id": "req_1",
    "trace": "4bf92f3577b34da6a3ce929d0e0e4736",
    "prompt": "0123456789abcdef",
    "session": "s-1",
    "status": 200,
    "ms": 120,
    "first_ms": 40,
    "failed": 1,
    "fell_back": 0,
    "stream": 1,
    "attempt_count": 2,
    "failed_attempts": 2,
    "input": 25,
    "output": 150,
    "cached": 5,
    "reasoning": 7,
    "cost_usd": 0.0002,
    "priced": 1,
    "saved_usd": 0.000003,
    "bytes_in": 300,
    "bytes_out": 900,
    "sampled_by": "ann",
}


def test_each_value_is_in_its_column() -> None:
    assert row(FULL) == FULL_ROW


def test_an_unknown_price_is_not_a_price_of_nothing() -> None:
    unknown, free = row(make_record(cost=None)), row(make_record(cost=0))
    assert (unknown["cost_usd"], unknown["priced"]) == (0, 0)
    assert (free["cost_usd"], free["priced"]) == (0, 1)


def test_a_fallback_counts_where_it_answered() -> None:
    attempts = (make_attempt("timeout", "gemini"), make_attempt())
    assert row(make_record(attempts=attempts))["fell_back"] == 1
    assert row(make_record(attempts=attempts, status=502, error="provider_error"))["fell_back"] == 0


def test_who_was_not_let_in_shares_an_index() -> None:
    assert row(make_record(user="", status=401))["sampled_by"] == NOBODY
    assert row(make_record(user="", status=401))["user_name"] == ""


def worst(text: str) -> RequestRecord:
    """All texts as long as can be."""
    texts = {f.name: text for f in structs.fields(RequestRecord) if f.type is str}
    return make_record(**texts, attempts=(make_attempt(text, text, model=text),) * 9)


@given(RECORDS | st.sampled_from('a"é漢🦜\ud800').map(lambda letter: worst(letter * 5000)))
def test_a_point_is_always_within_the_platforms_limits(record: RequestRecord) -> None:
    blobs, doubles, (index,) = structs.astuple(build_data_point(record))
    assert len(blobs) <= 20
    assert len(doubles) <= 20
    assert sum(len(blob.encode()) for blob in blobs) <= 16 * 1024
    assert 1 <= len(index.encode()) <= 96
    assert all(isinstance(blob, str) for blob in blobs)
    assert {type(double) for double in doubles} <= {int, float}


@given(HOSTILE, st.sampled_from([7, 96, 819]))
def test_a_cut_text_is_the_longest_beginning_that_fits(text: str, size: int) -> None:
    short = cut(text, size)
    readable = text.encode("utf-8", "replace").decode()
    assert short in (text[: len(short)], readable[: len(short)])
    if len(short) < len(text):
        assert len(readable[: len(short) + 1].encode()) > size


# --- the documentation --------------------------------------------------------------------


def test_the_documented_columns_are_the_codes() -> None:
    rows = re.findall(r"^\| `((?:blob|double|index)\d+)` \| `(\w+)` \|", DOC, re.MULTILINE)
    assert {name: column for column, name in rows} == COLUMNS
    assert len(rows) == len(COLUMNS)


@pytest.mark.parametrize("query", QUERIES)
def test_each_query_reads_columns_that_there_are(query: str) -> None:
    used = re.findall(r"\b(?:blob|double|index)\d+\b", query)
    assert set(used) <= set(COLUMNS.values())
    # a column that is shown as it is has its documented name
    shown = re.findall(r"(?:SELECT|,)\s+((?:blob|double)\d+) AS (\w+)", query)
    assert shown
    assert [(COLUMNS[name], name) for _, name in shown] == shown


@pytest.mark.parametrize("query", QUERIES)
def test_each_query_weighs_what_it_sums_up(query: str) -> None:
    sums = re.findall(r"\b(?:SUM|sumIf)\((.*?)[,)]", query)
    assert all(summed.startswith("_sample_interval") for summed in sums)
    quantiles = re.findall(r"quantileExactWeighted\([\d.]+\)\((\w+), (\w+)\)", query)
    assert query.count("quantile") == len(quantiles)
    assert all(weight == "_sample_interval" for _, weight in quantiles)
    assert not re.search(r"\b(count|avg|countIf|avgIf)\(", query, re.IGNORECASE)


def test_there_are_queries_for_the_usual_questions() -> None:
    assert len(QUERIES) >= 9

"""The query parameters of GET /analytics."""

import pytest

from proxy.analytics.query.parameters import read_duration
from proxy.analytics.query.report import read_report_query
from proxy.analytics.store.messages import KEPT_SECONDS, RESOLUTION_SECONDS
from proxy.core.errors import InvalidRequest, PermissionDenied
from tests.unit.analytics.making import NOW

HOUR, DAY = 3600, 86400


def test_the_last_hour_is_the_default() -> None:
    report = read_report_query({}, NOW + 7)
    query = report.sums
    assert (report.window, query.resolution) == ("1h", "minute")
    assert (query.begin, query.end) == (NOW - HOUR, NOW + 60)
    assert (query.step, query.group_by, query.filters, query.models_only) == (None, (), {}, True)


@pytest.mark.parametrize(
    ("window", "step", "resolution"),
    [
        ("1m", None, 60),
        ("24h", None, 60),
        ("1441m", None, HOUR),
        ("35d", None, HOUR),
        ("36d", None, DAY),
        ("730d", None, DAY),
        ("1h", "1m", 60),
        ("1h", "60m", HOUR),
        ("1d", "90m", 60),
        ("1d", "1d", DAY),
        ("7d", "1h", HOUR),
        ("7d", "36h", HOUR),
        ("7d", "24h", DAY),
        ("730d", "7d", DAY),
        ("1500m", "60m", HOUR),
    ],
)
def test_the_rows_that_are_read(window: str, step: str | None, resolution: int) -> None:
    params = {"window": window} | ({"step": step} if step else {})
    for now in (NOW, NOW + 59, NOW + 1234):
        query = read_report_query(params, now).sums
        length = read_duration("window", window)
        border = query.step or resolution
        assert RESOLUTION_SECONDS[query.resolution] == resolution
        assert query.begin % border == query.end % border == 0
        assert now - length - border < query.begin <= now - length
        assert now < query.end <= now + border
        assert length <= KEPT_SECONDS[query.resolution]


def test_all_parameters() -> None:
    params = {
        "window": "2h",
        "step": "5m",
        "group_by": "user,status",
        "provider": "openai",
        "model": "gpt x",
        "user": "ann",
        "status": "502",
    }
    query = read_report_query(params, NOW).sums
    assert query.step == 300
    assert query.group_by == ("user", "status")
    assert query.filters == {"provider": "openai", "model": "gpt x", "user": "ann", "status": 502}


@pytest.mark.parametrize(
    "params", [{"endpoint": "/admin/keys"}, {"group_by": "endpoint"}, {"group_by": "user,endpoint"}]
)
def test_other_endpoints_are_counted_where_a_query_names_them(params: dict[str, str]) -> None:
    assert not read_report_query(params, NOW).sums.models_only


@pytest.mark.parametrize(
    ("params", "name"),
    [
        ({"window": ""}, "window"),
        ({"window": "0h"}, "window"),
        ({"window": "1"}, "window"),
        ({"window": "1w"}, "window"),
        ({"window": "1H"}, "window"),
        ({"window": "-1h"}, "window"),
        ({"window": "1.5h"}, "window"),
        ({"window": "\u0661h"}, "window"),
        ({"window": "731d"}, "window"),
        ({"window": "1h\n"}, "window"),
        ({"window": "99999999999999999999h"}, "window"),
        ({"step": "x"}, "step"),
        ({"step": "61m"}, "step"),
        ({"window": "25h", "step": "1m"}, "step"),
        ({"window": "2d", "step": "90m"}, "step"),
        ({"window": "40d", "step": "36h"}, "step"),
        ({"window": "1501h", "step": "1h"}, "step"),
        ({"window": "63d", "step": "1h"}, "step"),
        ({"group_by": "colour"}, "group_by"),
        ({"group_by": "user,"}, "group_by"),
        ({"group_by": "user,user"}, "group_by"),
        ({"user": ""}, "user"),
        ({"user": "u" * 257}, "user"),
        ({"status": "abc"}, "status"),
        ({"status": "99"}, "status"),
        ({"status": "600"}, "status"),
        ({"status": "200 "}, "status"),
        ({"from": "yesterday"}, "from"),
        ({"x" * 1000: ""}, "x" * 200),
    ],
)
def test_a_wrong_parameter_is_named(params: dict[str, str], name: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        read_report_query(params, NOW)
    assert refused.value.param == name
    assert refused.value.message.startswith(f"{name}: ")


def test_a_user_sees_only_his_own() -> None:
    own = {"user": "ann"}
    assert read_report_query({}, NOW, "ann").sums.filters == own
    assert read_report_query(own, NOW, "ann").sums.filters == own
    query = read_report_query({"model": "m", "group_by": "user"}, NOW, "ann").sums
    assert query.filters == {"model": "m", "user": "ann"}
    with pytest.raises(PermissionDenied):
        read_report_query({"user": "bob"}, NOW, "ann")

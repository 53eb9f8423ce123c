"""W3C Trace Context: what is taken over of a caller's trace, what is refused, what is passed on."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.analytics.record.trace import Trace, begin_trace
from tests.unit.doubles import CountingRandom

ID = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = "00f067aa0ba902b7"
STATE = "congo=t61rcWkgMzE,rojo=00f067aa0ba902b7"


def begun(**headers: str) -> Trace:
    return begin_trace(headers, CountingRandom())


def test_a_callers_trace_goes_on_under_a_span_of_its_own() -> None:
    trace = begun(traceparent=f"00-{ID}-{PARENT}-01", tracestate=STATE)
    assert (trace.id, trace.parent, trace.sampled) == (ID, PARENT, True)
    assert trace.span not in ("", PARENT)
    assert trace.render_headers() == {
        "traceparent": f"00-{ID}-{trace.span}-01",
        "tracestate": STATE,
    }


@pytest.mark.parametrize(
    ("flags", "sent", "sampled"),
    [
        ("00", "00", False),
        ("01", "01", True),
        ("02", "02", False),
        ("03", "03", True),
        ("ff", "03", True),
        ("fc", "00", False),
    ],
)
def test_flags_go_on_as_far_as_they_are_known(flags: str, sent: str, sampled: bool) -> None:
    trace = begun(traceparent=f"00-{ID}-{PARENT}-{flags}")
    assert trace.sampled is sampled
    assert trace.render_headers()["traceparent"].endswith(f"-{sent}")


@pytest.mark.parametrize(
    "header",
    [
        "",
        f"ff-{ID}-{PARENT}-01",
        f"00-{'0' * 32}-{PARENT}-01",
        f"00-{ID}-{'0' * 16}-01",
        f"00-{ID}-{PARENT}-01-",
        f"00-{ID}-{PARENT}-01-more",
        f"00-{ID}-{PARENT}-1",
        f"00-{ID}-{PARENT}",
        f"00-{ID.upper()}-{PARENT}-01",
        f"00-{ID}-{PARENT.upper()}-01",
        f"0-{ID}-{PARENT}-01",
        f"00-{ID[:-1]}-{PARENT}-01",
        f"00-{ID}0-{PARENT}-01",
        f"00-{ID}-{PARENT}-0g",
        f"00_{ID}_{PARENT}_01",
        f" 00-{ID}-{PARENT}-01",
        f"00-{ID}-{PARENT}-01\n",
        f"01-{ID}-{PARENT}-01more",
        f"01-{ID}-{PARENT}-01-\r\nx: y",
        f"00-{ID}-{PARENT}-01, 00-{ID}-{PARENT}-01",
        f"\u0660\u0660-{ID}-{PARENT}-01",
    ],
)
def test_what_is_no_traceparent_begins_a_new_trace(header: str) -> None:
    trace = begun(traceparent=header, tracestate=STATE)
    assert trace.id != ID
    assert (trace.parent, trace.state) == ("", "")
    assert trace.render_headers().keys() == {"traceparent"}
    again = begin_trace(trace.render_headers(), CountingRandom())
    assert (again.id, again.parent) == (trace.id, trace.span)


@pytest.mark.parametrize("rest", ["", "-", "-what-the-future-brings"])
def test_later_versions_are_read_and_answered_in_ours(rest: str) -> None:
    trace = begun(traceparent=f"cc-{ID}-{PARENT}-01{rest}")
    assert (trace.id, trace.parent) == (ID, PARENT)
    assert trace.render_headers()["traceparent"] == f"00-{ID}-{trace.span}-01"


def test_a_trace_that_begins_here_is_sampled_if_it_is_recorded() -> None:
    assert begin_trace({}, CountingRandom()).sampled
    assert not begin_trace({}, CountingRandom(), recorded=False).sampled
    caller = {"traceparent": f"00-{ID}-{PARENT}-01"}
    assert begin_trace(caller, CountingRandom(), recorded=False).sampled


@pytest.mark.parametrize(
    ("state", "sent"),
    [
        ("a=1", True),
        ("a=1\t,b=2", True),
        (",".join(["a=1"] * 32), True),
        (",".join(["a=1"] * 33), False),
        ("a=" + "x" * 510, True),
        ("a=" + "x" * 511, False),
        ("a=1\r\nx: y", False),
        ("a=é", False),
    ],
)
def test_tracestate_goes_on_unchanged_or_not_at_all(state: str, sent: bool) -> None:
    trace = begun(traceparent=f"00-{ID}-{PARENT}-01", tracestate=state)
    assert trace.render_headers().get("tracestate") == (state if sent else None)


@given(
    st.text() | st.from_regex(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}", fullmatch=True)
)
def test_whatever_comes_what_is_sent_is_valid(header: str) -> None:
    sent = begun(traceparent=header).render_headers()
    again = begin_trace(sent, CountingRandom())
    assert again.parent == sent["traceparent"].split("-")[2]

"""Errors and faults: what they carry, and what an attempt's fault says of its outcome."""

import pytest

from proxy.core.errors import (
    BLAMED,
    Cause,
    Fault,
    FaultDetails,
    FaultKind,
    InternalError,
    InvalidRequest,
    ProxyError,
    RateLimitExceeded,
    Unavailable,
    drop_frames,
)


def test_an_error_has_its_class_status_unless_its_cause_has_another() -> None:
    plain = InvalidRequest("x", param="model")
    assert (plain.type, plain.status, plain.source, plain.param) == (
        "invalid_request",
        400,
        "proxy",
        "model",
    )
    caused = InvalidRequest("x", cause=Cause(source="provider", status=422))
    assert (caused.type, caused.status, caused.source) == ("invalid_request", 422, "provider")
    assert RateLimitExceeded("x", cause=Cause(limit="budget_day")).limit == "budget_day"


def test_the_proxy_s_own_503_is_an_internal_error() -> None:
    error = Unavailable("x", code="overloaded", retry_after=1)
    assert isinstance(error, InternalError)
    assert (error.type, error.status, error.retry_after) == ("internal_error", 503, 1)


@pytest.mark.parametrize("kind", BLAMED)
def test_a_fault_blames_by_its_kind_unless_it_says_otherwise(kind: FaultKind) -> None:
    assert Fault(kind, "x").outcome.blame == BLAMED[kind]
    assert Fault(kind, "x", blame="proxy").outcome.blame == "proxy"


def test_another_provider_may_answer_all_but_a_wrong_request() -> None:
    assert Fault("timeout", "x").falls_over
    assert not Fault("bad_request", "x").falls_over
    assert Fault("bad_request", "x", details=FaultDetails(lacks=True)).falls_over


def test_an_error_that_is_kept_loses_its_frames() -> None:
    try:
        try:
            raise ValueError
        except ValueError as cause:
            raise ProxyError("x") from cause
    except ProxyError as error:
        kept = drop_frames(error)
    assert (kept.__traceback__, kept.__cause__, kept.__context__) == (None, None, None)

"""The faults of providers whose dialect callers speak too: those of all providers, with the error
as it came for callers of the same dialect, who read its words."""

from collections.abc import Mapping
from typing import Annotated

from msgspec import Meta, Struct

from proxy.core.errors import Fault
from proxy.core.json_guard import Decoder
from proxy.core.redaction import redact
from proxy.providers import faults
from proxy.providers.garbage import LOOKED_AT, UNREADABLE
from proxy.providers.target import Target


class _Described(Struct):
    message: Annotated[str, Meta(min_length=1)]


class _Error(Struct):
    """What both dialects' clients read of an error; Messages' name its kind beside it."""

    error: _Described
    type: str = ""


_ERROR = Decoder(_Error)


def read_fault(
    target: Target, status: int, headers: Mapping[str, str], body: bytes, now: float | None = None
) -> Fault:
    """See Adapter.read_fault."""
    return _keep_native(target, faults.read_fault(target, status, headers, body, now), body)


def read_inner_fault(target: Target, body: bytes) -> Fault:
    """The fault of an error that stands in an answer of status 200."""
    return _keep_native(target, faults.read_inner_fault(target, body), body)


def _keep_native(target: Target, fault: Fault, body: bytes) -> Fault:
    """The fault with the error itself, where that is a short one in the dialect's form and holds
    no secret."""
    if len(body) > LOOKED_AT:
        return fault
    try:
        text, error = body.decode(), _ERROR.decode(body)
    except UNREADABLE:  # not what its clients look for: others send any JSON
        return fault
    is_native = error.type == "error" or target.wire != "messages"
    if is_native and redact(text, target.all_secrets) == text:
        fault.native = (target.wire, body)
    return fault

"""The faults of providers whose dialect callers speak too: those of all providers, with the error
as it came for callers of the same dialect, who read its words."""

from collections.abc import Mapping

from proxy.core.errors import Fault
from proxy.core.redaction import redact
from proxy.providers import faults
from proxy.providers.garbage import LOOKED_AT, is_readable
from proxy.providers.target import Target


def read_fault(
    target: Target,
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    now: float | None = None,
) -> Fault:
    """See Adapter.read_fault."""
    return _keep_native(target, faults.read_fault(target, status, headers, body, now), body)


def read_inner_fault(target: Target, body: bytes) -> Fault:
    """The fault of an error that stands in an answer of status 200."""
    return _keep_native(target, faults.read_inner_fault(target, body), body)


def _keep_native(target: Target, fault: Fault, body: bytes) -> Fault:
    """The fault with the error itself, where that is a short one in JSON and holds no secret."""
    is_error = body.lstrip().startswith(b"{") and b'"error"' in body
    if not is_error or len(body) > LOOKED_AT or not is_readable(body):
        return fault
    text = body.decode("utf-8", "replace")
    if redact(text, target.all_secrets) == text:
        fault.native = (target.wire, body)
    return fault

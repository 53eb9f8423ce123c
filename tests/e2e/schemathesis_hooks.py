"""What schemathesis is told of the proxy: which of its cases are sent."""

import os
import zlib
from typing import Any

import schemathesis
from schemathesis.core import NotSet

SHARE = float(os.environ.get("CONTRACT_SHARE", "1"))
"""Of the cases that are sent; which ones does not change from run to run."""
UNKNOWN = "x-schemathesis-unknown-property"


@schemathesis.hook
def filter_case(context: Any, case: Any) -> bool:
    """Leaves out requests that are wrong only by a header that nobody knows: HTTP has those
    ignored (RFC 9110, 5.1)."""
    if UNKNOWN in (case.headers or {}):
        return False
    if SHARE == 1:
        return True
    body = None if isinstance(case.body, NotSet) else case.body  # that one's repr has an address
    parts = (case.method, case.path, case.path_parameters, case.query, case.headers, body)
    return zlib.crc32(repr(parts).encode()) % 1000 < SHARE * 1000

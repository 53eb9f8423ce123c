"""Refusals, as the adapter of OpenAI's dialect reads them."""

import json
from typing import Any

from proxy.core.errors import Fault
from tests.unit.providers import replay

TO = replay.target("openai")
NOW = 1_792_567_680.0  # 2026-10-21T07:28:00Z


def fault(status: int, body: Any, headers: dict[str, str] | None = None) -> Fault:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return replay.adapter("openai").read_fault(TO, status, headers or {}, data, NOW)

"""What is told of the past: figures, the request log, conclusions, and the monitoring system's page.

A user's key sees its own figures; an admin everybody's.
"""

import asyncio
from collections.abc import Awaitable, Callable

from proxy.analytics import figures, requests
from proxy.analytics.recorder import Recorder
from proxy.core.config import Config
from proxy.core.errors import NoProviderAvailable
from proxy.core.ports import Ports
from proxy.core.web import Response
from proxy.exchange import JSON, Exchange

FRESH = {**JSON, "cache-control": "no-store"}

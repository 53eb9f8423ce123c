"""Clients of the deployment whose figures are counted, and what they read."""

from collections.abc import Callable
from typing import Any

import httpx

from tests.e2e.deployments import ADMIN_TOKEN

COLLECTOR_KEY = "the-collectors-key-0123456789"
Issue = Callable[..., httpx.Client]


def open_client(url: str, key: str = ADMIN_TOKEN) -> httpx.Client:
    return httpx.Client(base_url=url, timeout=60, headers={"authorization": f"Bearer {key}"})


def figures(of: httpx.Client, **parameters: str) -> dict[str, Any]:
    answer = of.get("/analytics", params=parameters)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def user_of(caller: httpx.Client) -> str:
    return str(caller.get("/analytics/requests").json()["requests"][0]["user"])

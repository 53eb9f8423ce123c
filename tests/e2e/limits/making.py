"""Requests with keys of the test's own, and what operators see of their limits."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import httpx

from tests.e2e.deployments import ADMIN_TOKEN, Deployments

ADMIN = {"authorization": f"Bearer {ADMIN_TOKEN}"}
GPT = {"model": "openai/gpt-4o", "fallback": False, "cache": {"mode": "off"}}

ALLOWANCE = 100
"""RATE_LIMIT_BURST of this deployment; its refill brings a token in 36 s."""

Issue = Callable[..., dict[str, Any]]


def bearer(key: dict[str, Any]) -> dict[str, str]:
    return {"authorization": f"Bearer {key['key']}"}


def generate(
    admin: httpx.Client, key: dict[str, Any], prompt: str, **fields: Any
) -> httpx.Response:
    return admin.post("/v1/generate", json={"prompt": prompt} | GPT | fields, headers=bearer(key))


async def storm(
    url: str, key: dict[str, Any], prompt: str, *, times: int, body: dict[str, Any] | None = None
) -> list[httpx.Response]:
    """The same request many times over 50 connections."""
    body = body or {"prompt": prompt} | GPT
    left = iter(range(times))

    async with httpx.AsyncClient(base_url=url, headers=bearer(key), timeout=120) as client:

        async def connection() -> list[httpx.Response]:
            return [await client.post("/v1/generate", json=body) for _ in left]

        answers = await asyncio.gather(*(connection() for _ in range(50)))
    return [answer for some in answers for answer in some]


def show_limit(admin: httpx.Client, limit: dict[str, str], what: Callable[[Any], bool]) -> Any:
    """What GET /admin/limits shows once it is `what`, or after some seconds."""
    for _ in range(40):
        shown = admin.get("/admin/limits", params=limit).json()
        if what(shown):
            break
        time.sleep(0.1)
    return shown


def is_logged(deployments: Deployments, name: str, text: str) -> bool:
    """Whether a deployment logs a text within some seconds."""
    for _ in range(100):
        if text in deployments.log(name):
            return True
        time.sleep(0.1)
    return False


def eventually(attempt: Callable[[], httpx.Response], status: int) -> httpx.Response:
    """What `attempt` gives once it has the status, or after some seconds."""
    for _ in range(40):
        answer = attempt()
        if answer.status_code == status:
            break
        time.sleep(0.1)
    return answer


def read_account(admin: httpx.Client, key: dict[str, Any]) -> Any:
    """What a key has used, once all of it is settled."""
    return show_limit(admin, {"key": key["id"]}, lambda shown: shown["reservations"] == 0)

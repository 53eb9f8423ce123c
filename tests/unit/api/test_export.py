"""The request log and the figures as CSV."""

import asyncio
import csv
import io

import pytest

from proxy.analytics.store.shard import REQUESTS
from proxy.api import export
from proxy.core.errors import ClientGone
from tests.unit.api.deployment import CALLER, Deployment
from tests.unit.callers import read_stream
from tests.unit.doubles import in_no_time


async def read(deployment: Deployment, path: str, key: str = "the-admin-token") -> list[list[str]]:
    response = await deployment.get(path, key)
    assert response.status == 200, response.body
    assert response.headers["content-type"].startswith("text/csv")
    assert response.headers["cache-control"] == "no-store"
    body = await read_stream(response) if response.stream else response.body
    return [*csv.reader(io.StringIO(body.decode(), newline=""), strict=True)]


@in_no_time
async def test_an_export_has_what_the_pages_have() -> None:
    deployment = Deployment(ANALYTICS_SHARDS="2")
    for number in range(5):
        await deployment.chat(f"{number}", metadata={"stage": "=cmd|' /C calc'!A0"})
    await deployment.chat("other", key="the-admin-token")
    header, *rows = await read(deployment, "/analytics/requests?format=csv&limit=2")
    page = (await deployment.read("/analytics/requests"))["requests"]
    assert header == [*page[0]]
    assert [row[header.index("requestId")] for row in rows] == [r["requestId"] for r in page]
    assert [float(row[header.index("cost")]) for row in rows] == [r["cost"] for r in page]
    assert not any(cell.startswith(("=", "+", "-", "@")) for row in rows for cell in row)
    _, *mine = await read(deployment, "/analytics/requests?format=csv", CALLER)
    assert len(mine) == 5
    _, *one = await read(deployment, "/analytics/requests?format=csv&label.stage=x")
    assert one == []
    await asyncio.sleep(1)


@in_no_time
async def test_it_is_cut_with_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "MOST_ROWS", 4)
    deployment = Deployment()
    for number in range(5):
        await deployment.chat(f"{number}")
    _, *rows, last = await read(deployment, "/analytics/requests?format=csv&limit=2")
    assert len(rows) == 4
    cursor = last[0].removeprefix("(Cut after 4 rows: go on with cursor=").removesuffix(")")
    _, *rest = await read(deployment, f"/analytics/requests?format=csv&cursor={cursor}")
    assert len(rest) == 1
    await asyncio.sleep(1)


@in_no_time
async def test_a_shard_that_dies_half_way_is_told() -> None:
    deployment = Deployment()
    for number in range(5):
        await deployment.chat(f"{number}")
    response = await deployment.get("/analytics/requests?format=csv&limit=2")
    deployment.statistics.down = True
    lines = (await read_stream(response)).decode().splitlines()
    assert len(lines) == 4
    assert lines[-1].startswith("(Broken off after 2 rows")
    refused = await deployment.get("/analytics/requests?format=csv")
    assert refused.status == 500
    await asyncio.sleep(10)


@in_no_time
async def test_a_caller_who_leaves_ends_it() -> None:
    deployment = Deployment()
    for number in range(6):
        await deployment.chat(f"{number}")
    response = await deployment.get("/analytics/requests?format=csv&limit=1")
    before = len(deployment.statistics.called(REQUESTS))
    with pytest.raises(ClientGone):
        await read_stream(response, gone_after=2)
    assert len(deployment.statistics.called(REQUESTS)) - before <= 2
    await asyncio.sleep(1)


@in_no_time
async def test_figures_as_csv() -> None:
    deployment = Deployment()
    await deployment.chat()
    await deployment.chat("Other", model="openai/gpt-4o")
    header, *rows = await read(deployment, "/analytics?format=csv&group_by=provider,model")
    assert header[:3] == ["provider", "model", "requests"]
    assert "cache.memory" in header
    assert sorted(row[:3] for row in rows) == [
        ["openai", "gpt-4o", "1"],
        ["openai", "gpt-4o-mini", "1"],
    ]
    assert {len(row) for row in rows} == {len(header)}
    header, *rows = await read(deployment, "/analytics?format=csv&step=15m&group_by=user")
    assert header[:3] == ["user", "at", "requests"]
    assert sum(int(row[2]) for row in rows) == 2
    assert {len(row) for row in rows} == {len(header)}
    refused = await deployment.get("/analytics?format=xml")
    assert refused.status == 400
    await asyncio.sleep(1)


@in_no_time
async def test_figures_of_a_key_a_team_and_a_tag() -> None:
    deployment = Deployment()
    await deployment.chat()
    assert (await deployment.read("/analytics?tag=x"))["total"]["requests"] == 0
    assert (await deployment.read("/analytics?group_by=key,team"))["total"]["requests"] == 1
    assert (await deployment.read("/analytics/overview?key=k"))["total"]["requests"] == 0
    assert (await deployment.get("/analytics?group_by=tag")).status == 400
    await asyncio.sleep(1)

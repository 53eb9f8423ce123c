"""What the objects of the limits leave on the disk, which is paid for."""

import sqlite3
import time
from contextlib import closing
from pathlib import Path

import httpx

from tests.e2e.conftest import Script
from tests.e2e.deployments import Deployments
from tests.e2e.limits.making import GPT, Issue, bearer, generate

LOOKED_AT = 40


def list_kept(deployments: Deployments) -> set[Path]:
    """The files of the objects that keep a state."""
    folder = deployments.state("limited")
    files = [*folder.rglob("*RateBucket/*.sqlite"), *folder.rglob("*KeyAccount/*.sqlite")]
    return {path for path in files if has_state(path)}


def has_state(path: Path) -> bool:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        found = database.execute("SELECT 1 FROM sqlite_master WHERE name = 'state'")
        return found.fetchone() is not None


def has_alarm(path: Path) -> bool:
    """Whether the platform is to wake an object up."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        tables = database.execute("SELECT name FROM sqlite_master").fetchall()
        if ("_cf_METADATA",) not in tables:
            return False
        found = database.execute("SELECT max(value) FROM _cf_METADATA").fetchone()
        return bool(found[0])


def test_what_is_only_looked_at_keeps_nothing(
    deployments: Deployments, admin: httpx.Client
) -> None:
    before = list_kept(deployments)
    for number in range(LOOKED_AT // 2):
        for query in (f"key=nobody-{number}", f"provider=openai&user=nobody-{number}"):
            assert admin.get(f"/admin/limits?{query}").status_code == 200
    kept = list_kept(deployments) - before
    assert len(kept) < LOOKED_AT // 2  # those of other tests


def test_what_has_nothing_to_remember_keeps_nothing(
    deployments: Deployments, admin: httpx.Client, issue: Issue, script: Script
) -> None:
    key = issue(limits={"perHour": 10_000_000})

    def ask() -> None:
        body = {"prompt": script()} | GPT
        answer = admin.post("/v1/generate", json=body, headers=bearer(key))
        assert answer.status_code == 200, answer.text

    before = list_kept(deployments)
    ask()
    kept = list_kept(deployments) - before
    assert kept
    until = time.monotonic() + 30
    while all(map(has_state, kept)) and time.monotonic() < until:
        time.sleep(0.5)
    assert not all(map(has_state, kept))
    assert key["id"] in deployments.log("limited")
    ask()


def test_a_bucket_that_does_not_refill_wakes_up_only_to_be_forgotten(
    deployments: Deployments, admin: httpx.Client, issue: Issue, script: Script
) -> None:
    key = issue(limits={"perHour": 0, "burst": 10})
    before = list_kept(deployments)
    assert generate(admin, key, script()).status_code == 200
    [bucket] = list_kept(deployments) - before
    assert not has_alarm(bucket)
    assert has_state(bucket)
    deleted = admin.delete("/admin/limits", params={"provider": "openai", "key": key["id"]})
    assert deleted.status_code == 204
    assert has_alarm(bucket)  # it is full

"""What runs for days beside a developer does not grow with every request."""

import subprocess
from concurrent.futures import ThreadPoolExecutor

import httpx

from tests.e2e.deployments import Deployments

REQUESTS = 1_200
MOST = 16
"""Megabytes of growth over REQUESTS; without collecting what requests leave it is 50 each."""


def workerds(port: int) -> dict[int, int]:
    """Megabytes of each workerd below the deployment on a port, by process."""
    table = subprocess.run(
        ["ps", "-ww", "-eo", "pid=,ppid=,rss=,args="], capture_output=True, text=True, check=True
    ).stdout
    rows = [row.split(None, 3) for row in table.splitlines()]
    below = {int(pid) for pid, *_, args in rows if f"--port {port} " in f"{args} "}
    while more := {int(pid) for pid, ppid, *_ in rows if int(ppid) in below} - below:
        below |= more
    return {
        int(pid): int(rss) // 1024
        for pid, _, rss, args in rows
        if int(pid) in below and "bin/workerd serve" in args
    }


def test_requests_leave_no_memory_behind(deployments: Deployments) -> None:
    server = deployments.get("open")
    port = httpx.URL(server.url).port
    assert port

    def ask(count: int) -> None:
        with httpx.Client(base_url=server.url, timeout=60) as client:
            for _ in range(count):
                assert client.get("/health").status_code == 200

    def ask_at_once() -> None:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(ask, [REQUESTS // 8] * 8))

    def growth() -> int:
        """Megabytes by which the process that grows most does so in REQUESTS."""
        before = workerds(port)
        assert len(before) == 2, "the router and the Worker"
        ask_at_once()
        after = workerds(port)
        return max(after[pid] - before[pid] for pid in before)

    ask_at_once()  # what grows at first and then no more
    grown: list[int] = []
    while not grown or (min(grown) > MOST and len(grown) < 3):  # a leak grows each time
        grown.append(growth())
    assert min(grown) <= MOST, grown

"""Runs the soak and writes its report.

    python -m tests.soak [--minutes 30] [--seed 1] [--report docs/soak.md]

The Worker runs under `wrangler dev` in front of the scripted upstream and is killed and started on
what it has stored three times within the first 40 % of the time, so that what was reserved at a
kill has lapsed at the end. docs/testing.md says what must hold.
"""

import argparse
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx

from bench.processes import listener
from tests.e2e.deployments import ADMIN_TOKEN, DEPLOYMENTS, KEYS, Deployments
from tests.soak.checks import check_all
from tests.soak.ledger import Ledger, Outage
from tests.soak.report import Sample, Soaked, write_report
from tests.soak.traffic import Caller, Plan
from tests.upstream import Upstream

NAME = "soak"
SETTINGS = {
    "ADMIN_TOKEN": ADMIN_TOKEN,
    "CACHE_COALESCE": "on",
    "CACHE_TTL": "120",
    "IDLE_TIMEOUT_MS": "1500",
    "FIRST_BYTE_TIMEOUT_MS": "5000",
    "LIMITER_ON_ERROR": "closed",
    "LIMITER_TIMEOUT_MS": "10000",
    "CACHE_TIMEOUT_MS": "2000",
    "FALLBACK_CHAIN": "openai,gemini",
}
ALIAS = {
    "name": "house",
    "targets": [
        {"model": "openai/gpt-4o", "weight": 2, "budget": {"day": 0.02}},
        {"model": "gemini/auto", "weight": 1},
    ],
    "strategy": "weighted",
}
PLANS = (
    Plan("free-1"),
    Plan("free-2"),
    Plan("minute", {"limits": {"requestsPerMinute": 30}}, plain=True),
    Plan("hour", {"limits": {"perHour": 600, "burst": 20}}, plain=True),
    Plan("tokens", {"limits": {"tokensPerMinute": 400}}, plain=True),
    Plan("budget", {"budget": {"day": 0.005}}, plain=True),
)
KILLS = (0.13, 0.26, 0.4)
"""The moments of the kills, as shares of the whole time."""
STEP = 5.0
"""Seconds between two looks at the Worker's memory."""


class Soak:
    """One run."""

    def __init__(self, upstream: Upstream, folder: Path, seed: int) -> None:
        DEPLOYMENTS[NAME] = ("development", SETTINGS)
        self.ledger = Ledger()
        self.samples: list[Sample] = []
        self._upstream = upstream
        self._deployments = Deployments(upstream, folder)
        self.url = self._deployments.get(NAME).url
        self.admin = httpx.Client(timeout=60, headers={"authorization": f"Bearer {ADMIN_TOKEN}"})
        self.ids: dict[str, str] = {}
        self._ask("POST", "/admin/aliases", ALIAS)
        self.callers = []
        for plan in PLANS:
            made = self._ask("POST", "/admin/keys", {"user": plan.user, **plan.body})
            self.ids[plan.user] = made["id"]
            self.callers.append(Caller(plan, made["key"], self.ledger, lambda: self.url, seed))

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        answer = self.admin.request(method, self.url + path, json=body)
        answer.raise_for_status()
        return answer.json()

    def run(self, seconds: float) -> None:
        """Lets the callers call, and kills the Worker now and then."""
        began = time.monotonic()
        kills = [began + share * seconds for share in KILLS]
        for caller in self.callers:
            caller.start()
        while (now := time.monotonic()) < began + seconds:
            if kills and now >= kills[0]:
                kills.pop(0)
                self._kill()
            self._look(now - began)
            self._upstream.reset()
            _progress(now - began, seconds, self.ledger)
            time.sleep(STEP)
        for caller in self.callers:
            caller.stopping.set()
        for caller in self.callers:
            caller.join()
        time.sleep(15)  # leases end, and what was put off is done
        self._look(time.monotonic() - began)

    def _kill(self) -> None:
        """SIGKILL, and the start on what is stored."""
        killed = time.monotonic()
        self._deployments.get(NAME).kill()
        self.url = self._deployments.restart(NAME).url
        self.ledger.outages.append(Outage(killed, time.monotonic()))

    def _look(self, at: float) -> None:
        try:
            metrics = self.admin.get(f"{self.url}/metrics").text
        except httpx.TransportError:
            return
        values = dict(
            line.split(" ", 1)
            for line in metrics.splitlines()
            if line.startswith(("proxy_isolate_", "proxy_analytics_lost"))
        )
        process = Path(f"/proc/{listener(int(self.url.rpartition(':')[2]))}/status").read_text()
        resident = next(int(x.split()[1]) for x in process.splitlines() if x.startswith("VmRSS"))
        heap = int(float(values["proxy_isolate_heap_bytes"]))
        life = len(self.ledger.outages)
        pending = int(float(values.get("proxy_isolate_pending_events", "0")))
        self.samples.append(Sample(at, life, heap, resident * 1024, pending, self._call_directly()))

    def _call_directly(self) -> float:
        began = time.monotonic()
        body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Say hello."}]}
        headers = {"authorization": f"Bearer {KEYS['OPENAI_API_KEY']}"}
        url = f"{self._upstream.url}/openai/v1/chat/completions"
        httpx.post(url, json=body, headers=headers, timeout=60).raise_for_status()
        return time.monotonic() - began

    def stop(self) -> None:
        self._deployments.stop()


def _progress(now: float, seconds: float, ledger: Ledger) -> None:
    told = f"{now / 60:.1f} of {seconds / 60:.0f} minutes, {len(ledger.sent):,} requests"
    print(f"\r{told}, {len(ledger.faults)} faults  ", end="", flush=True)


def main() -> int:
    """The exit status: 0 where all holds."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--report", type=Path, default=Path("docs/soak.md"))
    given = parser.parse_args()
    with Upstream() as upstream, TemporaryDirectory() as folder:
        soak = Soak(upstream, Path(folder), given.seed)
        try:
            began = time.monotonic()
            soak.run(given.minutes * 60)
            soaked = Soaked(
                minutes=given.minutes,
                seed=given.seed,
                seconds=time.monotonic() - began,
                ledger=soak.ledger,
                samples=soak.samples,
            )
            checks = check_all(soaked, soak.admin, soak.url, soak.ids)
        finally:
            soak.stop()
    write_report(soaked, checks, given.report)
    for check in checks:
        print(f"{'ok  ' if check.holds else 'FAIL'} {check.what}: {check.told}")
    for fault in soak.ledger.faults[:20]:
        print(f"fault: {fault}")
    return 0 if all(check.holds for check in checks) else 1


if __name__ == "__main__":
    sys.exit(main())

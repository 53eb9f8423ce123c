"""What must be true after a soak."""

import time
from collections import Counter
from typing import Any

import httpx

from tests.soak.ledger import Sent, find_most_within, percentile
from tests.soak.report import MB, Check, Sample, Soaked, took

HEAP_GROWTH = 8 * MB
"""Bytes that the heap of the last start may grow after its first minute."""
WARM = 60.0
SLOWER = 2.0
"""By which factor the last sixth's median may exceed the first's, beyond what a call without the
proxy has become slower: the machine does other things too."""
LARGE = 19_000_000
"""Bytes of a body that finds room only where nothing holds any: it is most of BODY_MEMORY_BYTES."""


def check_all(soaked: Soaked, admin: httpx.Client, url: str, ids: dict[str, str]) -> list[Check]:
    """All checks, in the order in which the report has them. ids: of the keys, by their users."""

    def ask(path: str) -> Any:
        answer = admin.get(url + path)
        answer.raise_for_status()
        return answer.json()

    checks = [check_records(soaked, ask, user) for user in ids]
    checks += [_check_rates(soaked), _check_hourly(soaked), _check_tokens(soaked)]
    checks += [_check_budget(soaked, ask(f"/admin/limits?key={ids['budget']}"))]
    checks += _check_rest(soaked, admin, url, ask, ids)
    last = [sample for sample in soaked.samples if sample.life == soaked.samples[-1].life]
    checks += [_check_memory(last), _check_latency(soaked)]
    faults = soaked.ledger.faults
    told = f"{len(faults)} answers that must not be" + (f": {faults[0][:200]}" if faults else "")
    return [*checks, Check("no 500, and kept responses survive a kill", not faults, told)]


def check_records(soaked: Soaked, ask: Any, user: str) -> Check:
    """The figures count what was sent. They are asked for by endpoint: otherwise they leave out
    passthrough. ask: reads a path of the interface."""
    figures = ask(f"/analytics?user={user}&window=24h&group_by=endpoint")
    told = figures["total"]["requests"]
    bounds = soaked.ledger.bound_records(soaked.ledger.by(user))
    apart = _find_differences(soaked, user, figures["groups"]) if told not in bounds else ""
    return Check(
        f"the figures of `{user}` count what was sent",
        told in bounds,
        f"{told:,}; sent {bounds.most:,}, of which {bounds.most - bounds.least:,} were under way or"
        f" just done at a kill{apart}",
    )


def _find_differences(soaked: Soaked, user: str, groups: list[dict[str, Any]]) -> str:
    """What the figures have of each endpoint, and what was sent."""
    counted = {group["key"]["endpoint"]: group["requests"] for group in groups}
    sent: Counter[str] = Counter()
    for each in soaked.ledger.by(user):
        sent[each.endpoint] += 1
        sent["/v1/batch/item"] += each.items
    return "".join(f"; {name}: {counted.get(name, 0)} of {n}" for name, n in sent.items())


def _plain(soaked: Soaked, user: str) -> list[Sent]:
    return soaked.ledger.by(user)


def _check_rates(soaked: Soaked) -> Check:
    most = find_most_within(_plain(soaked, "minute"), 60, lambda _: 1)
    return Check(
        "30 requests a minute are never exceeded",
        most <= 60,
        f"at the most {most} in any 60 s (30 at once and 30 that came back meanwhile)",
    )


def _check_hourly(soaked: Soaked) -> Check:
    sent = _plain(soaked, "hour")
    most = find_most_within(sent, 60, lambda _: 1)
    admitted = sum(each.is_admitted for each in sent)
    allowed = 20 + soaked.seconds / 6
    return Check(
        "600 an hour, 20 at once at a provider are never exceeded",
        most <= 30 and admitted <= allowed,
        f"at the most {most} in any 60 s (20 and 10), {admitted} of {allowed:.0f} in all",
    )


def _check_tokens(soaked: Soaked) -> Check:
    most = find_most_within(_plain(soaked, "tokens"), 60, lambda each: each.tokens)
    return Check(
        "400 tokens a minute are never exceeded",
        most <= 800,
        f"at the most {most:,} in any 60 s (400 at once and 400 that came back meanwhile)",
    )


def _check_budget(soaked: Soaked, account: dict[str, Any]) -> Check:
    sent = _plain(soaked, "budget")
    cost, unsure = sum(each.cost for each in sent), 0.0
    for each in sent:
        unsure += 0.0 if soaked.ledger.is_sure(each) else each.cost
    spent = account["spent_day"] / 1e9
    refused = sum(each.status == 402 for each in sent)
    return Check(
        "a budget of $0.005 is never exceeded",
        spent <= 0.005 and cost <= 0.005 + unsure and refused > 0,
        f"${spent:.6f} settled, ${cost:.6f} answered, of which ${unsure:.6f} at a kill;"
        f" {refused:,} refused",
    )


def _check_rest(
    soaked: Soaked, admin: httpx.Client, url: str, ask: Any, ids: dict[str, str]
) -> list[Check]:
    """Nothing is held any more."""
    now = time.monotonic()
    accounts = {user: ask(f"/admin/limits?key={key}") for user, key in ids.items()}
    reserved = {user: account["reservations"] for user, account in accounts.items()}
    lost = [out for out in soaked.ledger.outages if now - out.killed < 900]
    held = {}
    for user in ids:
        bucket = ask(f"/admin/limits?provider=openai&user={user}")
        held[user] = (bucket["leases"], bucket["held"])
    key_bucket = ask(f"/admin/limits?provider=openai&key={ids['hour']}")
    held["hour's key"] = (key_bucket["leases"], key_bucket["held"])
    return [
        Check(
            "no reservation is left",
            not any(reserved.values()) or bool(lost),
            f"{sum(reserved.values())}; {len(lost)} kills in the 15 minutes until one lapses",
        ),
        Check(
            "no lease is left",
            not any(sum(pair) for pair in held.values()),
            str(sum(map(sum, held.values()))),
        ),
        *_check_room(admin, url),
        Check("no record waits", soaked.samples[-1].pending <= 1, f"{soaked.samples[-1].pending}"),
    ]


def _check_room(admin: httpx.Client, url: str) -> list[Check]:
    """There is room for a large body, and nobody leads a flight any more."""
    prompt = "x" * LARGE + ' upstream:{"*": {"text": "Well."}}'
    body = {"model": "openai/of-no-known-context", "prompt": prompt, "fallback": False}
    large = admin.post(f"{url}/v1/generate", json=body)
    again = {"model": "openai/gpt-4o", "prompt": "again 1"}
    began = time.monotonic()
    answers = {admin.post(f"{url}/v1/generate", json=again).status_code for _ in range(3)}
    seconds = time.monotonic() - began
    return [
        Check(
            "no body is held",
            large.status_code == 200,
            f"one of 19 MB is answered {large.status_code}",
        ),
        Check(
            "no flight is left",
            answers == {200} and seconds < 5,
            f"identical requests are answered in {seconds:.2f} s",
        ),
    ]


def _check_memory(last: list[Sample]) -> Check:
    warm = next((each for each in last if each.at - last[0].at >= WARM), last[0])
    grown = last[-1].heap - warm.heap
    return Check(
        "the heap is flat",
        grown <= HEAP_GROWTH,
        f"{warm.heap / MB:.1f} MB a minute after the last start, {last[-1].heap / MB:.1f} MB at the"
        f" end, {(last[-1].at - warm.at) / 60:.1f} minutes later",
    )


def _check_latency(soaked: Soaked) -> Check:
    """Of what meets no fault: a sixth of the time at the beginning, and at the end."""
    sent = [e for e in soaked.ledger.sent if e.kind in ("miss", "hit", "plain") and e.status == 200]
    first, last = min(e.began for e in sent), max(e.ended for e in sent)
    sixth = (last - first) / 6
    early = [took(each) for each in sent if each.began < first + sixth]
    late = [took(each) for each in sent if each.began > last - sixth]
    medians = percentile(early, 0.5), percentile(late, 0.5)
    tails = percentile(early, 0.95), percentile(late, 0.95)
    samples, size = soaked.samples, max(1, len(soaked.samples) // 6)
    direct = tuple(
        percentile((each.direct for each in part), 0.5)
        for part in (samples[:size], samples[-size:])
    )
    return Check(
        "latency does not grow",
        medians[1] <= SLOWER * medians[0] * max(1.0, direct[1] / direct[0]),
        f"first and last sixth: p50 {medians[0] * 1000:.0f} and {medians[1] * 1000:.0f} ms,"
        f" p95 {tails[0] * 1000:.0f} and {tails[1] * 1000:.0f} ms; without the proxy p50"
        f" {direct[0] * 1000:.0f} and {direct[1] * 1000:.0f} ms",
    )

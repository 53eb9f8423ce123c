"""What a caller waits longer for a stream because it is recorded for the cache.

    python -m bench.recording [--rounds 100] [--events 400]

README.md says how to read what is printed.
"""

import argparse
import json
import time
from collections.abc import Mapping
from pathlib import Path
from random import Random
from statistics import median, quantiles
from tempfile import TemporaryDirectory

import httpx

from tests.e2e import conftest
from tests.upstream import Upstream

MODES = {
    "off": "off",
    "off again": "off",
    "recorded only": "refresh",
    "looked up, recorded": "default",
}
"""The rows, and `cache.mode` of each. The first is what the others are compared with."""
WARM_UP = 10
SETTLE = 0.1
"""Seconds between two streams, so that what one leaves to be stored does not slow the next."""
RESAMPLES = 2000
Times = Mapping[str, list[float]]


def _measured(url: str, rounds: int, events: int) -> Times:
    """Milliseconds of each stream, round by round; in each round every mode once, in an order
    of chance. Raises SystemExit where a stream is not what was asked for."""
    times: dict[str, list[float]] = {row: [] for row in MODES}
    chance = Random(1)
    with httpx.Client(base_url=url, timeout=60) as client:
        for number in range(-WARM_UP, rounds):
            for row in chance.sample(list(MODES), len(MODES)):
                taken = _stream(client, f"Question {number} of {row}.", MODES[row], events)
                if number >= 0:
                    times[row].append(taken)
                time.sleep(SETTLE)
    return times


def _stream(client: httpx.Client, prompt: str, mode: str, events: int) -> float:
    """Milliseconds from sending a request to the end of its stream."""
    told = json.dumps({"openai": {"text": "word " * events}})
    body = {"prompt": f"{prompt} upstream:{told}", "provider": "openai", "stream": True}
    began = time.perf_counter()
    answer = client.post("/v1/generate", json=body | {"cache": {"mode": mode}})
    taken = 1000 * (time.perf_counter() - began)
    status = answer.headers.get("cf-aig-cache-status")
    expected = "BYPASS" if mode == "off" else "MISS"
    if status != expected or answer.text.count("event: delta") < events or _broken(answer):
        raise SystemExit(f"Not the stream that was asked for: {status} {answer.text[-300:]}")
    return taken


def _broken(answer: httpx.Response) -> bool:
    return "event: done" not in answer.text


def _interval(times: list[float], base: list[float], chance: Random) -> tuple[float, float]:
    """Between what the ratio of the medians lies in 95 % of resamplings of the rounds."""
    ratios = []
    for _ in range(RESAMPLES):
        drawn = chance.choices(range(len(base)), k=len(base))
        ratios.append(median(times[n] for n in drawn) / median(base[n] for n in drawn))
    cuts = quantiles(ratios, n=40)
    return cuts[0], cuts[-1]


def _print(times: Times) -> None:
    base = next(iter(times.values()))
    chance = Random(1)
    print("ms a stream           median   25 %   75 %   ratio   95 % of it")
    for row, taken in times.items():
        low, middle, high = quantiles(taken, n=4)
        least, most = _interval(taken, base, chance)
        ratio = median(taken) / median(base)
        print(f"{row:20} {middle:7.1f} {low:6.1f} {high:6.1f} {ratio:7.3f}", end="")
        print(f"   {least:.3f} to {most:.3f}" if taken is not base else "")


def main() -> None:
    """Starts a Worker, measures, prints."""
    asks = argparse.ArgumentParser(prog="python -m bench.recording")
    asks.add_argument("--rounds", type=int, default=100)
    asks.add_argument("--events", type=int, default=400)
    args = asks.parse_args()
    conftest.DEPLOYMENTS["recording"] = ("development", {})
    with Upstream() as upstream, TemporaryDirectory() as directory:
        deployments = conftest.Deployments(upstream, Path(directory))
        try:
            url = deployments.get("recording").url
            _print(_measured(url, args.rounds, args.events))
        finally:
            deployments.stop()


if __name__ == "__main__":
    main()

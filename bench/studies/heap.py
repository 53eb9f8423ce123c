"""Whether one isolate's heap grows over many mixed and hostile requests.

    python -m bench.studies.heap [--requests 10000] [--connections 8]

README.md says how to read what is printed.
"""

import argparse
import gzip
import json
import random
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx

from bench.bare import Bare, proxy
from tests.e2e.deployments import KEYS, PATHS, ROOMY
from tests.upstream import Upstream

SAMPLES = 10
MB = 1024 * 1024
JSON = {"content-type": "application/json"}
Sent = tuple[str, bytes, dict[str, str]]


def requests(count: int, seed: int = 1) -> Iterator[Sent]:
    """`count` requests, usual and hostile."""
    dice = random.Random(seed)
    for number in range(count):
        yield dice.choice(KINDS)(dice, number)


def _chat(model: str, text: str, **fields: object) -> Sent:
    body = {"model": model, "messages": [{"role": "user", "content": text}], **fields}
    return "/v1/chat/completions", json.dumps(body).encode(), JSON


def _usual(dice: random.Random, number: int) -> Sent:
    return _chat("openai/gpt-4o-mini", f"hello {number}")


def _hit(dice: random.Random, number: int) -> Sent:
    return _chat("openai/gpt-4o-mini", f"again {number % 7}")


def _stream(dice: random.Random, number: int) -> Sent:
    return _chat("groq/fast", f"tell me {number} times", stream=True)


def _tools(dice: random.Random, number: int) -> Sent:
    tool = {"type": "function", "function": {"name": f"f{number}", "parameters": {}}}
    return _chat("openai/gpt-4o-mini", f"call the tool {number}", tools=[tool])


def _new_names(dice: random.Random, number: int) -> Sent:
    names = [f"openai/{number}-{place}-{'x' * 200}" for place in range(32)]
    return _chat(names[0], "hi", models=names[1:], fallback=False)


def _failing(dice: random.Random, number: int) -> Sent:
    directive = {"*": {"status": 500, "message": "x" * 2000}}
    return _chat("gemini/fast", f"{number} upstream:{json.dumps(directive)}", fallback=False)


def _embeddings(dice: random.Random, number: int) -> Sent:
    body = {"model": "openai/text-embedding-3-small", "input": [f"{number}", "b"]}
    return "/v1/embeddings", json.dumps(body).encode(), JSON


def _batch(dice: random.Random, number: int) -> Sent:
    items = [{"prompt": f"{number} {n}", "model": "openai/fast"} for n in range(3)]
    return "/v1/batch", json.dumps({"requests": items}).encode(), JSON


def _large(dice: random.Random, number: int) -> Sent:
    return _chat("openai/of-no-known-context", f"{number}" + "x, " * 20_000)


def _zipped(dice: random.Random, number: int) -> Sent:
    path, body, headers = _chat("openai/gpt-4o-mini", f"zip {number}" + " " * 100_000)
    return path, gzip.compress(body), {**headers, "content-encoding": "gzip"}


def _bomb(dice: random.Random, number: int) -> Sent:
    return "/v1/generate", BOMB, {**JSON, "content-encoding": "gzip"}


def _deep(dice: random.Random, number: int) -> Sent:
    return "/v1/generate", b'{"prompt":' * 5000, JSON


def _garbage(dice: random.Random, number: int) -> Sent:
    return "/v1/generate", dice.randbytes(2000), {**JSON, "x-request-id": f"{number}"}


def _nowhere(dice: random.Random, number: int) -> Sent:
    return f"/{'a' * 500}/{number}", b"{}", JSON


def _labelled(dice: random.Random, number: int) -> Sent:
    return _chat("openai/gpt-4o-mini", "hi", user=f"user-{number}" + "u" * 200)


BOMB = gzip.compress(bytes(64 * MB))
KINDS = (
    *(_usual, _usual, _hit, _hit, _stream, _stream, _tools, _new_names, _failing, _embeddings),
    *(_batch, _large, _zipped, _bomb, _deep, _garbage, _nowhere, _labelled),
)


def heap(client: httpx.Client) -> int:
    """Bytes of the isolate's heap."""
    metrics = client.get("/metrics").text
    found = re.search(r"^proxy_isolate_heap_bytes (\S+)$", metrics, re.MULTILINE)
    assert found
    return int(float(found[1]))


def run(count: int, connections: int) -> None:
    """Sends `count` requests and prints the heap ten times on the way."""
    with Upstream() as upstream, TemporaryDirectory() as folder:
        urls = {f"{name}_BASE_URL": upstream.url + path for name, path in PATHS.items()}
        vars = {"ENVIRONMENT": "development", **urls, **KEYS, **ROOMY}
        upload = proxy(Path(folder))
        with (
            Bare(upload, "entry.py", vars, Path(folder) / "heap.log") as worker,
            httpx.Client(base_url=f"http://127.0.0.1:{worker.port}", timeout=60) as client,
            ThreadPoolExecutor(connections) as pool,
        ):

            def send(sent: Sent) -> int:
                path, body, headers = sent
                return client.post(path, content=body, headers=headers).status_code

            print(f"{'requests':>10}  {'heap MB':>8}")
            print(f"{0:>10}  {heap(client) / MB:>8.1f}", flush=True)
            for sample in range(SAMPLES):
                part = requests(count // SAMPLES, seed=sample)
                statuses = list(pool.map(send, part))
                upstream.reset()
                seen = f"{(sample + 1) * (count // SAMPLES):>10}  {heap(client) / MB:>8.1f}"
                print(seen, {s: statuses.count(s) for s in sorted(set(statuses))}, flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--connections", type=int, default=8)
    arguments = parser.parse_args()
    run(arguments.requests, arguments.connections)

"""The callers: each has a key and a habit, and sends one request after the other."""

import json
import threading
import time
from collections.abc import Callable
from random import Random
from typing import Any

import httpx
from msgspec import Struct

from tests.soak.ledger import Ledger, Sent

FAULTS: tuple[dict[str, Any], ...] = (
    *({"status": 500}, {"status": 429, "headers": {"retry-after": "2"}}, {"status": 503}),
    *({"stall_after": 1}, {"break_after": 1}, {"refuse": True}, {"html": True}, {"delay_ms": 400}),
)
SICK = ("groq", "deepseek")
"""The providers that fail; the others are well, so that what limits count is known."""
PATHS = {
    "native": "/v1/generate",
    "chat": "/v1/chat/completions",
    "messages": "/v1/messages",
    "responses": "/v1/responses",
}


class Plan(Struct, frozen=True):
    """A caller's key: who it is, what it may, and how it behaves."""

    user: str
    body: dict[str, Any] = {}
    """Of POST /admin/keys, beside the user."""
    pause: float = 0.25
    """Seconds between two requests, about."""
    plain: bool = False
    """Whether it only asks plain questions of a healthy provider, whole, so that what it used is
    known to the token."""
    model: str = "openai/gpt-4o"


class Caller(threading.Thread):
    """One of them, until it is told to stop. find_url: where the Worker is now."""

    def __init__(
        self, plan: Plan, key: str, ledger: Ledger, find_url: Callable[[], str], seed: int
    ) -> None:
        super().__init__(name=plan.user, daemon=True)
        self.plan = plan
        self.stopping = threading.Event()
        self._client = httpx.Client(timeout=60, headers={"authorization": f"Bearer {key}"})
        self._ledger = ledger
        self._find_url = find_url
        self._dice = Random(f"{seed}:{plan.user}")
        self._number = 0
        self._last: Sent | None = None
        self._kept: list[tuple[str, str, Sent]] = []
        """Responses that are kept: id, text and the request that made them."""

    def run(self) -> None:
        kinds = (
            *(self._ask, self._ask, self._ask, self._hit, self._stream, self._stream),
            *(self._leave, self._batch, self._pass_on, self._keep, self._recall, self._fail),
        )
        while not self.stopping.is_set():
            self._number += 1
            (self._plain if self.plan.plain else self._dice.choice(kinds))()
            self.stopping.wait(self.plan.pause * self._dice.uniform(0.5, 1.5))
        self._client.close()

    def _post(self, kind: str, path: str, body: Any, *, items: int = 0) -> httpx.Response | None:
        began = time.monotonic()
        status, answer = 0, None
        try:
            answer = self._client.post(self._find_url() + path, json=body)
            status = answer.status_code
        except httpx.ConnectError:
            self._wait()
            return None
        except httpx.TransportError:
            pass
        ended = time.monotonic()
        counted = items if status == 200 else 0
        cost, tokens = _read_use(answer) if answer and kind == "plain" else (0.0, 0)
        self._last = Sent(
            user=self.plan.user,
            kind=kind,
            began=began,
            ended=ended,
            status=status,
            cost=cost,
            tokens=tokens,
            items=counted,
            endpoint="/openai" if path.startswith("/openai") else path,
        )
        self._ledger.add(self._last)
        if status == 500:
            self._ledger.blame(f"{kind}: {answer and answer.text[:300]}")
        return answer

    def _wait(self) -> None:
        """The Worker is away: nothing was sent."""
        self.stopping.wait(1)

    def _prompt(self, text: str = "", told: dict[str, Any] | None = None) -> str:
        text = text or f"{self.plan.user} {self._number}"
        return f"{text} upstream:{json.dumps(told)}" if told else text

    def _body(self, dialect: str, prompt: str, **fields: Any) -> dict[str, Any]:
        said = [{"role": "user", "content": prompt}]
        body: dict[str, Any] = {"model": self.plan.model, "messages": said, "max_tokens": 50}
        if dialect == "responses":
            body = {"model": self.plan.model, "input": prompt, "store": False}
        elif dialect == "native":
            body = {"model": self.plan.model, "prompt": prompt, "maxTokens": 50}
        return body | fields

    def _plain(self) -> None:
        body = self._body("native", self._prompt(), fallback=False)
        self._post("plain", PATHS["native"], body)

    def _ask(self) -> None:
        dialect = self._dice.choice(tuple(PATHS))
        model = self._dice.choice(("openai/gpt-4o", "anthropic/auto", "gemini/auto", "house"))
        self._post("miss", PATHS[dialect], self._body(dialect, self._prompt(), model=model))

    def _hit(self) -> None:
        """One of few questions again."""
        dialect = self._dice.choice(tuple(PATHS))
        prompt = self._prompt(f"again {self._dice.randrange(5)}")
        self._post("hit", PATHS[dialect], self._body(dialect, prompt))

    def _stream(self) -> None:
        dialect = self._dice.choice(tuple(PATHS))
        prompt = self._prompt(told={"*": {"event_delay_ms": self._dice.choice((0, 5, 40))}})
        self._post("stream", PATHS[dialect], self._body(dialect, prompt, stream=True))

    def _fail(self) -> None:
        """Of a provider that fails; another may answer."""
        provider, dialect = self._dice.choice(SICK), self._dice.choice(tuple(PATHS))
        prompt = self._prompt(told={provider: self._dice.choice(FAULTS)})
        fields = {"model": f"{provider}/auto", "stream": self._dice.random() < 0.5}
        fields["fallback"] = self._dice.choice((False, ["openai"]))
        self._post("fault", PATHS[dialect], self._body(dialect, prompt, **fields))

    def _leave(self) -> None:
        """Hangs up after a stream's first piece."""
        dialect = self._dice.choice(tuple(PATHS))
        prompt = self._prompt("a longer text, " * 20, {"*": {"event_delay_ms": 100}})
        body = self._body(dialect, f"{self._number} {prompt}", stream=True)
        began, status = time.monotonic(), 0
        url = self._find_url() + PATHS[dialect]
        try:
            with self._client.stream("POST", url, json=body) as answer:
                status = answer.status_code
                next(answer.iter_raw(), b"")
        except httpx.ConnectError:
            self._wait()
            return
        except httpx.TransportError:
            pass
        ended = time.monotonic() + 2  # until the proxy has seen it
        self._ledger.add(
            Sent(
                self.plan.user,
                "left",
                began,
                ended,
                status,
                is_left=status != 0,
                endpoint=PATHS[dialect],
            )
        )
        return

    def _batch(self) -> None:
        parts = [
            self._body("native", self._prompt(f"part {n} of {self._number}")) for n in range(4)
        ]
        self._post("batch", "/v1/batch", {"requests": parts}, items=len(parts))

    def _pass_on(self) -> None:
        body = self._body("chat", self._prompt())
        body["model"] = "gpt-4o"
        self._post("passthrough", "/openai/v1/chat/completions", body)

    def _keep(self) -> None:
        text = self._prompt()
        body = {"model": self.plan.model, "input": text, "store": True, "max_output_tokens": 50}
        answer = self._post("kept", PATHS["responses"], body)
        if answer is not None and answer.status_code == 200 and self._last:
            self._kept.append((answer.json()["id"], text, self._last))

    def _recall(self) -> None:
        """A response that was kept a while ago, perhaps before a restart: it must be there."""
        if not self._kept:
            return self._keep()
        found, text, made = self._kept.pop(self._dice.randrange(len(self._kept)))
        for method, status in (("GET", 200), ("DELETE", 200), ("GET", 404)):
            began, seen, told = time.monotonic(), 0, ""
            try:
                path = f"/v1/responses/{found}"
                answer = self._client.request(method, self._find_url() + path)
                seen, told = answer.status_code, answer.text
            except httpx.ConnectError:
                self._wait()
                return None
            except httpx.TransportError:
                pass
            ended = time.monotonic()
            self._ledger.add(
                Sent(self.plan.user, "recalled", began, ended, seen, endpoint="/v1/responses/ID")
            )
            if seen == 0:
                return None
            if seen == 404 and not self._ledger.is_sure(made):
                return None  # the Worker was killed before it was kept
            if seen != status or (seen == 200 and method == "GET" and text not in told):
                self._ledger.blame(f"{method} of a kept response: {seen} {told[:200]}")
        return None


def _read_use(answer: httpx.Response) -> tuple[float, int]:
    """What a plain answer has cost and used; a hit, nothing."""
    if answer.status_code != 200 or answer.headers.get("cf-aig-cache-status") == "HIT":
        return 0.0, 0
    usage = answer.json().get("usage") or {}
    tokens = int(usage.get("inputTokens", 0)) + int(usage.get("outputTokens", 0))
    return float(answer.headers.get("x-proxy-cost", 0)), tokens

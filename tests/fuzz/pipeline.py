"""Sends cases through the whole app in CPython, where no wait takes time, and judges answers."""

import asyncio
import json
import traceback
from collections.abc import Iterator, Mapping
from contextlib import suppress
from inspect import isawaitable
from random import Random
from urllib.parse import parse_qsl

from proxy.access.authenticator import format_secret, hash_secret
from proxy.access.keys import Key
from proxy.api.passthrough import NAMED
from proxy.core.errors import Fault, InvalidRequest, PayloadTooLarge
from proxy.core.ports import Outgoing
from proxy.core.principal import Limits
from proxy.core.web import Request
from proxy.routing.public_host import is_public
from tests.fuzz import answers
from tests.fuzz.cases import ANNS_REQUEST, ANNS_RESPONSE, Case, make_case, make_dice
from tests.fuzz.judge import Answer, find_faults
from tests.fuzz.mutate import INSIDE, PERSONAL
from tests.unit.callers import Unread, as_it_is
from tests.unit.doubles import Caller, FakeReply, LoopClock, parse_url
from tests.unit.providers.making_responses import response, says
from tests.unit.routing.making import whole
from tests.unit.serving.making import House
from tests.unit.serving.stage import HOST, find_played, make_env

CPU_SECONDS = 10.0
"""What a case may take of the processor; the slowest takes a fraction of a second."""
WAIT_SECONDS = 3_600.0
"""What it may wait, on a clock that jumps."""
REST_SECONDS = 61.0
"""Between two cases, so that limits and rests of the minute before are over."""
DAY = 86_400.0
KEPT = 500
"""Cases after which what the stand-ins of the stores hold is forgotten."""
ADMIN, DEFAULT = "the-admin-token-0123456789", "the-proxy-key-0123456789"
VIEWER = "the-metrics-token-0123456789"
SECRETS = {
    name: format_secret("development", pair * 32)
    for name, pair in (("ann", "ab"), ("mallory", "cd"), ("wrong", "ef"))
}
KEYS = {"default": DEFAULT, "admin": ADMIN, "viewer": VIEWER, **SECRETS}
ANNS_TEXTS = (b"anns-question-canary", b"anns-answer-canary", b"anns-metadata-canary")
ENV = {
    **make_env(),
    "ADMIN_TOKEN": ADMIN,
    "PROXY_API_KEY": DEFAULT,
    "METRICS_TOKEN": VIEWER,
    "RATE_LIMIT_PER_HOUR": "10000000",
    "RATE_LIMIT_BURST": "1000000",
    "FALLBACK_CHAIN": "openai,groq,gemini,anthropic",
    "RETRY_ATTEMPTS": "2",
    "CACHE_MEMORY_BYTES": "1000000",
    "ANALYTICS": "on",
}
VARIANTS: tuple[dict[str, str], ...] = (
    {},
    {
        "BODY_LOG": "on",
        "GUARDRAIL": "mask",
        "REDACT_PATTERNS": "STAFF=EMP-[0-9]{6}",
        "CACHE_COALESCE": "on",
        "HEDGE_AFTER_MS": "1000",
    },
)
"""What else is set: the cases of even numbers meet the one deployment, those of odd the other."""
PROVIDER_KEYS = tuple(value.encode() for name, value in ENV.items() if name.endswith("_API_KEY"))


PASSED_PREFIXES = ("/p/", "/openai/", "/anthropic/", "/genai/")
PASSED_ON = frozenset(f"/v1/{name}" for name in NAMED)
"""The paths whose requests go to a provider as they are, and how others begin."""


class TooLongError(Exception):
    """A case has taken too long of the processor."""


class Fuzzed(House):
    """The app before providers that answer as the case's number has it, and Ann, whose answer is
    cached, and whose response is kept."""

    def __init__(self, variant: int = 0) -> None:
        super().__init__(self.answer, LoopClock(), **ENV | VARIANTS[variant])
        self._masks = bool(variant)
        self.dice = Random(0)
        self.leaks: list[str] = []
        self.anns_response = self.anns_request = ""
        for name in ("ann", "mallory"):
            limits = Limits(per_hour=10_000_000, burst=1_000_000)
            key = Key(id=f"key_{name}", user=name, created_at=0, name=f"of {name}", limits=limits)
            self.objects.keys.book.issue(key, hash_secret(SECRETS[name]))

    async def seed(self) -> None:
        """Has Ann ask, so that there is something of hers to be found."""
        self.healthy = True
        await self.fetch("DELETE", "/admin/breakers", authorization=f"Bearer {ADMIN}")
        self.clock.time += 2 * DAY
        headers = {
            "authorization": f"Bearer {SECRETS['ann']}",
            "content-type": "application/json",
            "cf-aig-metadata": '{"label": "anns-metadata-canary"}',
        }
        said = [{"role": "user", "content": "anns-question-canary"}]
        chat = {"model": "openai/gpt-4o", "messages": said}
        kept = {"model": "openai/gpt-4o", "input": "anns-question-canary", "store": True}
        chatted = await self.fetch("POST", "/v1/chat/completions", chat, **headers)
        self.anns_request = chatted.headers["x-request-id"]
        answer = await self.fetch("POST", "/v1/responses", kept, **headers)
        await self.settle()
        self.healthy = False
        self.anns_response = answer.json["id"]
        self.tidy()

    healthy = False

    def answer(self, outgoing: Outgoing) -> FakeReply | Fault | float:
        """core.ports.Upstream, as this case's dice fall."""
        self._look_at(outgoing)
        try:
            provider = find_played(outgoing.url)
        except StopIteration:
            return self._answer_image()
        if self.healthy:
            return self._answer_ann(outgoing)
        lot = self.dice.random()
        if lot < 0.03:
            return Fault("network", "The provider can't be reached.")
        if lot < 0.05:
            return 100_000.0
        sent = bytes(outgoing.body) if isinstance(outgoing.body, bytes) else b""
        streams = b'"stream":true' in sent or "stream" in outgoing.url.lower()
        reply = answers.choose(self.dice, provider, streams=streams)
        if lot < 0.1:
            reply = answers.echo(reply, _find_key(outgoing))
        pieces: list[bytes | Exception | float] = list(reply.events)
        if lot > 0.95:
            broken = (Fault("network", "It broke off."), Fault("timeout", "It is silent."), 5.0)
            pieces.insert(self.dice.randrange(len(pieces) + 1), self.dice.choice(broken))
        headers = {name.lower(): value for name, value in reply.headers.items()}
        return FakeReply(*pieces, status=reply.status, headers=headers)

    def _answer_ann(self, outgoing: Outgoing) -> FakeReply:
        text = "anns-answer-canary"
        if outgoing.url.endswith("/responses"):
            return FakeReply(json.dumps(response(says(text))).encode())
        return whole(text)

    def _answer_image(self) -> FakeReply:
        headers = {"content-type": self.dice.choice(("image/png", "text/html", ""))}
        if self.dice.random() < 0.5:
            headers["location"] = self.dice.choice(INSIDE)
        status = self.dice.choice((200, 301, 302, 307, 404))
        return FakeReply(b"x", status=status, headers=headers)

    def _look_at(self, outgoing: Outgoing) -> None:
        """No caller's key goes to a provider, and nothing goes where it should not."""
        sent = repr((outgoing.url, outgoing.headers, outgoing.body))
        self.leaks += [f"{name}'s key goes out" for name, key in KEYS.items() if key in sent]
        if self._masks and PERSONAL in repr(outgoing.body):
            self.leaks.append("what the guardrail keeps goes out")
        if not outgoing.url.startswith(("ai:", HOST)):
            found = parse_url(outgoing.url, None)
            if not (found and found.scheme == "https" and is_public(found.host)):
                self.leaks.append(f"{outgoing.url[:200]} was fetched")

    def tidy(self) -> None:
        """Forgets what only the stand-ins remember."""
        self.log.lines.clear()
        self.upstream.sent.clear()
        self.upstream.idles.clear()
        self.batches.calls.clear()
        self.leaks = []
        for namespace in self.objects.all():
            namespace.calls.clear()

    async def forget(self) -> None:
        """Empties the stores, as if they had been lost, but for the keys."""
        self.empty_below()
        for namespace in self.objects.all():
            if namespace is not self.objects.keys:
                namespace.held.clear()
        await self.seed()

    async def send(self, case: Case) -> Answer:
        """What the caller of a case gets."""
        given = self._make_request(case)
        reaction = self.app.handle(given, as_it_is)
        response = await reaction if isawaitable(reaction) else reaction
        passed = case.name in PASSED_ON or case.path.startswith(PASSED_PREFIXES)
        body = response.body
        if response.stream:
            caller = Caller(case.gone_after)
            with suppress(Fault):
                await response.stream(caller)
            body = b"".join(caller.pieces)
        is_passed_on = passed and "x-proxy-provider" in response.headers
        return Answer(response.status, response.headers, body, is_passed_on)

    def _make_request(self, case: Case) -> Request:
        """As the platform hands it on."""
        path = case.path.replace(ANNS_RESPONSE, self.anns_response)
        path, _, query = path.replace(ANNS_REQUEST, self.anns_request).partition("?")
        body = case.body.replace(ANNS_RESPONSE.encode(), self.anns_response.encode())
        headers = {**case.headers, **authorize(case)}
        broken = "content-length" in headers

        async def read(limit: int) -> bytes:
            if broken:
                raise InvalidRequest("The body broke off before its end.")
            if len(body) > limit:
                raise PayloadTooLarge(f"The body is over {limit} bytes.")
            return body

        named = dict(parse_qsl(query.partition("#")[0], keep_blank_values=True))
        url = f"https://proxy.example{path}{query and '?'}{query}"
        hold = self.app.open_hold()
        return Request(case.method, path, named, headers, read, self.defer, hold, url, Unread(body))


def authorize(case: Case, keys: Mapping[str, str] = KEYS) -> dict[str, str]:
    """The header that names a case's caller."""
    if case.caller == "none":
        return {}
    key = keys[case.caller]
    if case.number % 3:
        return {"authorization": f"Bearer {key}"}
    return {("x-api-key", "api-key", "x-goog-api-key")[case.number % 9 // 3]: key}


def _find_key(outgoing: Outgoing) -> str:
    """The provider's key that a call has with it."""
    values = (value.removeprefix("Bearer ") for value in outgoing.headers.values())
    return next((value for value in values if value.encode() in PROVIDER_KEYS), "none")


async def try_case(house: Fuzzed, seed: int, number: int) -> tuple[Case, Answer | None, list[str]]:
    """Sends a case and judges what comes back, and what was logged."""
    case = make_case(seed, number)
    house.dice = make_dice(seed, number, "answers")
    house.clock.time += REST_SECONDS
    answer = None
    try:
        async with asyncio.timeout(WAIT_SECONDS):
            answer = await house.send(case)
            await house.settle()
    except TooLongError:
        return case, None, [f"takes over {CPU_SECONDS:.0f} s of the processor"]
    except TimeoutError:
        return case, None, [f"is not answered within {WAIT_SECONDS:.0f} s"]
    except Exception:
        return case, None, [f"raises {traceback.format_exc(limit=-6)}"]
    texts = ANNS_TEXTS[: 2 if case.caller in ("admin", "viewer") else 3]  # an operator sees labels
    if case.caller == "admin" and "/body" in case.path:
        texts = ()  # and what is kept
    forbidden = [*PROVIDER_KEYS, *texts, *(key.encode() for key in KEYS.values())]
    faults = find_faults(case, answer, forbidden)
    faults += house.leaks + list(_find_log_faults(house, forbidden))
    return case, answer, faults


def _find_log_faults(house: Fuzzed, forbidden: list[bytes]) -> Iterator[str]:
    for level, event, fields in house.log.lines:
        line = repr((event, fields)).encode()
        if event == "bug":
            yield f"a bug is logged: {fields.get('error')}"
        if leaks := [secret[:12] for secret in forbidden if secret in line]:
            yield f"the {level} line {event!r} shows {leaks}"

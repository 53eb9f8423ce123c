"""A pool of three keys of openai, and providers that answer each key otherwise."""

from collections.abc import Callable, Mapping

from msgspec import structs

from proxy.core.chat import ChatRequest
from proxy.core.errors import Fault, FaultDetails, FaultKind, Quota
from proxy.core.messages import Message
from proxy.core.ports import Outgoing, Ports
from proxy.core.settings import RoutingSettings, read_settings
from proxy.providers.catalog import Catalog
from proxy.providers.target import Target
from proxy.routing.affinity import Conversation
from proxy.routing.breakers import Breakers
from proxy.routing.key_pools import KeyPools
from proxy.routing.selection import Selection
from tests.unit.doubles import Answerer, FakeReply, FakeUpstream, Unlimited
from tests.unit.routing.making import ENV, by_host, made_catalog, whole

KEYS = ("key-of-openai", "key-of-openai-2", "key-of-openai-3")
POOL = {"OPENAI_API_KEY": ",".join(KEYS), "FALLBACK_CHAIN": "openai,groq"}
NOW = 1_700_000_000_000
NUMBERS = {f"Bearer {key}": number for number, key in enumerate(KEYS, 1)}


def pool_settings(**env: str) -> RoutingSettings:
    return read_settings(ENV | POOL | env, made_catalog().providers).routing


def by_key(answers: Mapping[int, FakeReply | Fault | float]) -> Answerer:
    """openai answers `hello` to each key that `answers` does not name."""

    def answer(request: Outgoing) -> FakeReply | Fault | float:
        number = NUMBERS[request.headers["authorization"]]
        return answers.get(number, whole(f"hello {number}"))

    return by_host(openai=answer, groq=whole("hello of groq"))


def keys_sent(outside: Ports) -> list[int]:
    """The numbers of the keys that openai was called with."""
    assert isinstance(outside.upstream, FakeUpstream)
    sent = [request.headers.get("authorization", "") for request in outside.upstream.sent]
    return [NUMBERS[each] for each in sent if each in NUMBERS]


def a_conversation(session: str) -> Conversation:
    chat = ChatRequest(messages=(Message("user", "hi"),))
    return Conversation(chat, session, "ann")


def limited(retry_after: float | None = None, quota: Quota = "account") -> Fault:
    return make("rate_limited", 429, retry_after, quota)


def make(
    kind: FaultKind, status: int, retry_after: float | None = None, quota: Quota = "model"
) -> Fault:
    details = FaultDetails(status=status, retry_after=retry_after, quota=quota)
    return Fault(kind, "refused", details=details)


class Isolate:
    """The pools of one isolate, whose clock and chance are given."""

    def __init__(self, catalog: Catalog, now: Callable[[], int], **env: str) -> None:
        self.settings = pool_settings(**env)
        self.breakers = Breakers(lambda: 0.5)
        self.keys = KeyPools(self.settings, self.breakers, now, lambda: 0.5)
        self._now = now
        selection = Selection(catalog, self.settings, frozenset())
        self._models = catalog.models
        self._deployment = selection.deployment
        self.permit = Unlimited()

    def target(self, model: str = "gpt") -> Target:
        return self._deployment.make_target(self._models["openai", model])

    def assign(self, holder: str | None = None, tried: frozenset[int] = frozenset()) -> Target:
        """The target with a key."""
        conversation = a_conversation(holder) if holder else None
        found = self.keys.assign(self.target(), lambda: conversation, tried)
        assert found
        return found

    def fail(self, target: Target, fault: Fault) -> Fault:
        """An attempt with a key that fails."""
        key = f"openai#{target.key_number}"
        call = self.breakers.begin("openai", target.model.id, self._now(), key)
        self.keys.observe(target, self.permit, {}, fault)
        self.breakers.report(call, fault.outcome, self._now(), key_refused=fault.refuses_key)
        return fault

    def with_key(self, number: int, model: str = "gpt") -> Target:
        """The target with the key of that number."""
        return structs.replace(self.target(model), key=KEYS[number - 1], key_number=number)

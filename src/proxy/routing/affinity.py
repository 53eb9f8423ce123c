"""Conversations: what their turns have in common, and where they were answered last.

The provider of the turn before has the prompt in its cache, and takes its own thinking back. So the
turns of a conversation choose alike in every isolate, without a word between them: by the hash of
what they have in common. Where an isolate has seen another provider answer, it remembers that.
"""

from collections import OrderedDict
from functools import cached_property
from hashlib import sha256
from operator import attrgetter

from proxy.core.chat import ChatRequest
from proxy.core.messages import JSONObject, Message

MOST_HOMES = 2_000
FORGET_MS = 3_600_000
"""For how long a home is known that is not used."""
TEXT_READ = 2_000
"""Characters of a text by which a conversation without a name is known."""

_OWNERS = {"google": "gemini"}
"""Providers whose state stands under another name than their own."""
_extra_content = attrgetter("extra_content")
_tool_calls = attrgetter("tool_calls")


class Conversation:
    """What the turns of a conversation have in common. Nothing is worked out before it is used."""

    def __init__(self, chat: ChatRequest, session: str, user: str) -> None:
        """session: its name by the caller, empty: it has none; user: whose it is."""
        self.is_named = session != ""
        self._chat = chat
        self._session = session
        self._user = user

    @cached_property
    def key(self) -> str:
        """The same for all its turns, and for no other conversation but one of the same user that
        has no name and begins alike."""
        parts = ["named", self._user, self._session]
        if not self.is_named:
            parts = ["begun", self._user, *_read_beginning(self._chat.messages)]
        text = "".join(f"{len(part)}:{part}" for part in parts)
        return sha256(text.encode(errors="surrogatepass")).hexdigest()

    @property
    def owners(self) -> tuple[str, ...]:
        """The providers whose sealed state the turn carries, the latest first."""
        return list_owners(self._chat.messages)


class Homes:
    """The providers that answered an isolate's conversations last. Times in ms since 1970."""

    def __init__(self) -> None:
        self._homes: OrderedDict[tuple[str, str], tuple[str, int]] = OrderedDict()

    def __len__(self) -> int:
        """How many are known."""
        return len(self._homes)

    def find(self, conversation: Conversation, model: str, now: int) -> str:
        """The home of a conversation with what it calls a model; empty: none is known."""
        place = conversation.key, model
        provider, used = self._homes.get(place, ("", 0))
        if provider and now - used > FORGET_MS:
            del self._homes[place]
            return ""
        return provider

    def keep(self, conversation: Conversation, model: str, provider: str, now: int) -> None:
        """Makes a provider the home."""
        place = conversation.key, model
        self._homes[place] = provider, now
        self._homes.move_to_end(place)
        if len(self._homes) > MOST_HOMES:
            self._homes.popitem(last=False)

    def forget(self, conversation: Conversation, model: str) -> None:
        """Leaves a conversation without a home."""
        self._homes.pop((conversation.key, model), None)


def list_owners(messages: tuple[Message, ...]) -> tuple[str, ...]:
    """The providers whose sealed state the messages carry, the latest first."""
    if not (any(map(_extra_content, messages)) or any(map(_tool_calls, messages))):
        return ()  # most requests
    turns = messages[::-1]
    found: list[JSONObject] = [*filter(None, map(_extra_content, turns))]
    for calls in filter(None, map(_tool_calls, turns)):
        found += filter(None, map(_extra_content, calls))
    return tuple(dict.fromkeys(_OWNERS.get(name, name) for each in found for name in each))


def _read_beginning(messages: tuple[Message, ...]) -> list[str]:
    """What a conversation begins with: its system texts and the first message of its user."""
    texts: list[str] = []
    for message in messages:
        if message.role not in ("system", "developer", "user"):
            continue
        texts += [message.role, _read_text(message)]
        if message.role == "user":
            break
    return texts


def _read_text(message: Message) -> str:
    if isinstance(message.content, str):
        return message.content[:TEXT_READ]
    texts = [part.text[:TEXT_READ] for part in message.parts if part.text]
    return "".join(texts[:TEXT_READ])[:TEXT_READ]

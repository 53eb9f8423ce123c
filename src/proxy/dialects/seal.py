"""What a provider wants back of its own turn, as one opaque text for callers whose dialect has a
place for that: the signature of a thinking block, the encrypted content of a reasoning item.

The mark in front tells such a text from a provider's own, which has another origin and another
form. It is no secret and no proof: a provider checks by itself what comes back to it.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode

import msgspec
from msgspec import Struct

from proxy.core.json_guard import Decoder
from proxy.core.messages import JSONObject, Message, ToolCall

MARK = "aep1."


class ProviderState(Struct, frozen=True, omit_defaults=True):
    """What core.messages keeps as `extra_content` of a message and of its calls."""

    message: JSONObject = {}
    calls: dict[str, JSONObject] = {}
    """By the call's id."""

    @classmethod
    def of(cls, message: JSONObject | None, calls: tuple[ToolCall, ...]) -> "ProviderState":
        """message: the answer's `extra_content`."""
        states = {call.id: call.extra_content for call in calls if call.extra_content}
        return cls(message or {}, states)

    @property
    def is_empty(self) -> bool:
        """Whether no provider wants anything back."""
        return not (self.message or self.calls)

    def restore(self, message: Message) -> Message:
        """The turn as the provider knows it; what it already holds stays."""
        calls = message.tool_calls and tuple(
            msgspec.structs.replace(call, extra_content=self.calls[call.id])
            if call.id in self.calls and not call.extra_content
            else call
            for call in message.tool_calls
        )
        extra = {**self.message, **(message.extra_content or {})} or None
        return msgspec.structs.replace(message, extra_content=extra, tool_calls=calls)


_STATE = Decoder(ProviderState)


def seal(state: ProviderState) -> str:
    """The state as text of A-Z, a-z, 0-9, `.`, `-`, `_` and `=`."""
    return MARK + urlsafe_b64encode(msgspec.json.encode(state)).decode()


def unseal(text: str) -> ProviderState | None:
    """The state; None for a text that was not sealed here, is damaged, or is not
    safe to decode."""
    if not text.startswith(MARK):
        return None
    try:
        return _STATE.decode(urlsafe_b64decode(text[len(MARK) :]))
    except (ValueError, msgspec.DecodeError, RecursionError):  # a caller may send what it likes
        return None

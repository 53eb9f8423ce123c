"""What a request demands of the model that answers it."""

from msgspec import Struct

from proxy.core.chat import ChatRequest, Wire
from proxy.providers.specs import Ability, Mode, Model

_WORDS = {
    "vision": "read images",
    "tools": "call tools",
    "json": "follow a JSON schema",
    "reasoning": "reason",
    "streaming": "stream",
}
"""What a model does that has the ability."""


class Needs(Struct, frozen=True):
    """What a request demands of a model."""

    abilities: frozenset[Ability] = frozenset()
    embedding: bool = False
    streaming: bool = False
    reasoning: bool = False
    """A wish and no demand: a model that can't answers without."""
    custom_tool: int | None = None
    """Which of the tools is the first custom one, which not every provider has."""
    wire: Wire | None = None
    """The only dialect in which a provider can take the request; None: any will do."""
    native_only: str = ""
    """Why, as a message that names the field."""
    vendors: str | None = None
    """What is for OpenRouter alone: fields of its `provider` object, as JSON."""

    @classmethod
    def of(cls, chat: ChatRequest) -> "Needs":
        """What a chat request demands."""
        wanted: list[Ability] = []
        if chat.wants_vision:
            wanted.append("vision")
        if chat.tools and chat.tool_choice != "none":
            wanted.append("tools")
        if chat.response_format and chat.response_format.type == "json_schema":
            wanted.append("json")
        kinds, bridged = [tool.type for tool in chat.tools], chat.bridges_custom
        return cls(
            frozenset(wanted),
            custom_tool=None if bridged or "custom" not in kinds else kinds.index("custom"),
            wire=chat.dialect if chat.native_only else None,
            native_only=chat.native_only,
            streaming=chat.stream,
            reasoning=chat.reasoning_effort not in (None, "none"),
            vendors=chat.vendors,
        )

    @property
    def mode(self) -> Mode:
        """That of the models that may answer."""
        return "embedding" if self.embedding else "chat"

    def lacking(self, model: Model) -> str | None:
        """What `model` can't do of it, in words; None if it can do all or nothing is known."""
        if model.mode != self.mode:
            return f"{model.id} is {model.kind}"
        missing = set[str](self.abilities - model.can if model.can is not None else ())
        if self.streaming and not model.streams:
            missing.add("streaming")
        words = " or ".join(_WORDS[ability] for ability in sorted(missing))
        return f"{model.id} can't {words}" if missing else None

    def missed_by(self, model: Model) -> bool:
        """Whether `model` would answer without the reasoning that is wished for."""
        return self.reasoning and model.can is not None and "reasoning" not in model.can

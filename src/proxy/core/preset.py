"""What an operator's alias says of a request beside who answers it."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from proxy.core.forms import EFFORT
from proxy.core.messages import ResponseFormat

SystemMode = Literal["prepend", "replace", "default"]
"""Where an alias's system prompt stands: before the caller's system texts, in their place, or only
where the caller has none."""

_StopText = Annotated[str, Meta(min_length=1, max_length=1024)]
_Penalty = Annotated[float, Meta(ge=-2, le=2)]


class Part(
    Struct,
    frozen=True,
    kw_only=True,
    omit_defaults=True,
    forbid_unknown_fields=True,
    rename="camel",
):
    """A part of an alias: null is the same as a field that is not there."""


class Parameters(Part, frozen=True, kw_only=True):
    """Parameters of a chat, by the names of core.chat.ChatRequest. None: nothing is said."""

    max_tokens: Annotated[int, Meta(ge=1, le=2**31 - 1)] | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    stop: _StopText | Annotated[tuple[_StopText, ...], Meta(min_length=1, max_length=16)] | None = (
        None
    )
    seed: Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)] | None = None
    frequency_penalty: _Penalty | None = None
    presence_penalty: _Penalty | None = None
    reasoning_effort: Annotated[str, Meta(pattern=EFFORT)] | None = None
    response_format: ResponseFormat | None = None

    def list_given(self) -> dict[str, object]:
        """What is said, by the names of ChatRequest and as it holds them."""
        given = {name: getattr(self, name) for name in self.__struct_fields__}
        if isinstance(self.stop, str):
            given["stop"] = (self.stop,)
        return {name: value for name, value in given.items() if value is not None}


class Preset(Struct, frozen=True, kw_only=True):
    """What is put into a request before anything else is made of it."""

    defaults: Parameters = Parameters()
    """Where the caller says nothing."""
    fixed: Parameters = Parameters()
    """Whatever the caller says."""
    system: str = ""
    system_mode: SystemMode = "prepend"

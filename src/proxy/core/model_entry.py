"""A model as the list of models has it."""

from msgspec import Struct


class ModelEntry(Struct, frozen=True):
    """A model in the list of models."""

    id: str
    owned_by: str
    context: int | None = None
    """Tokens; None: not known."""
    max_output: int | None = None
    """Tokens of its longest answer; None: not known."""
    can: frozenset[str] | None = None
    """Its abilities; None: not known."""
    chats: bool = True
    """False: it makes embeddings."""

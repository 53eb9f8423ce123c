"""The users and models that are counted apart: callers could name more models than can be kept."""

from collections.abc import Iterable

from msgspec import Struct

from proxy.core.principal import OTHER


class Caps(Struct, frozen=True, kw_only=True):
    """How many are counted apart."""

    users: int
    models: int
    """Of one user, so that nobody takes all the room."""
    pairs: int
    """Of a user and a model."""


class KnownNames:
    """The first users and models to come keep their names, the others share one.

    There are at most `pairs + 2 * (users + 1)` pairs of names that are counted: each user has
    the other models, and what was for no model.
    """

    def __init__(self, caps: Caps, known: Iterable[tuple[str, str]] = ()) -> None:
        self._caps = caps
        self._models: dict[str, set[str]] = {OTHER: set()}
        self._pairs = 0
        for user, model in known:
            self.admit(user, model)

    def admit(self, user: str, model: str) -> tuple[str, str]:
        """The names under which a user's request for a model is counted."""
        caps = self._caps
        if user not in self._models and len(self._models) > caps.users:
            user = OTHER
        models = self._models.setdefault(user, set())
        if model in models or model in ("", OTHER):
            return user, model
        if len(models) >= caps.models or self._pairs >= caps.pairs:
            return user, OTHER
        models.add(model)
        self._pairs += 1
        return user, model

"""What a cache key holds of a request's routing."""

from collections.abc import Sequence

import msgspec
from msgspec import Struct

from proxy.providers.target import Target


class RoutingKey(Struct, frozen=True):
    """The one model that a request names, or all that may answer one that leaves the choice open.

    `defaults` are those of the catalogue in which all of them agree.
    """

    names: tuple[str, ...]
    """`provider/model` each, with the wishes for a reseller behind it."""
    by_name: bool
    strategy: str | None
    defaults: dict[str, object]

    @classmethod
    def of_model(cls, target: Target) -> "RoutingKey":
        """The key of a request that names this model: where its answer belongs that came in the
        place of another's."""
        return cls(
            (name_target(target),), by_name=True, strategy=None, defaults=target.spec.defaults
        )

    @classmethod
    def of_choice(
        cls, targets: Sequence[Target], *, by_name: bool, strategy: str | None
    ) -> "RoutingKey":
        """The key of a request that any of the targets may answer. by_name: whether it names the
        first of them."""
        targets = targets[:1] if by_name else targets
        defaults = {
            name: value
            for name, value in targets[0].spec.defaults.items()
            if all(target.spec.defaults.get(name) == value for target in targets)
        }
        return cls(tuple(map(name_target, targets)), by_name, strategy, defaults)

    def words(self) -> tuple[str, ...]:
        """The key as part of a cache key."""
        if self.by_name:
            return ("model", self.names[0])
        return ("any", self.strategy or "", *self.names)


def name_target(target: Target) -> str:
    """`provider/model`, and the wishes for a reseller: others answer then."""
    wishes = target.model.send.get("provider")
    name = f"{target.spec.name}/{target.model.id}"
    return f"{name} {msgspec.json.encode(wishes, order='sorted').decode()}" if wishes else name

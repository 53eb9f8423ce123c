"""The models that may answer a request, and those whose context is long enough for it."""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property

from msgspec import Struct

from proxy.core.errors import InvalidRequest
from proxy.providers.target import Target

TOO_LONG = 2
"""So many times its context the prompt must be estimated at before a model is left out.
The estimate may be that far off; up to there the provider's own count has the last word."""


class TargetGroup(Struct, frozen=True):
    """Models that mean the same to the caller, in the configured order."""

    targets: tuple[Target, ...]
    only_best: bool
    """Whether only the best of them is tried: the caller has said which models follow."""


class Plan(Struct, frozen=True, dict=True):
    """The models that may answer a request, group by group in their order."""

    groups: tuple[TargetGroup, ...]
    excluded: dict[str, str] = {}
    """Why each other provider may not."""

    @cached_property
    def targets(self) -> tuple[Target, ...]:
        """All, each once, in the configured order."""
        return self.in_order(tuple)

    @cached_property
    def has_choice(self) -> bool:
        """Whether any of several models may be tried first that mean the same to the caller."""
        return any(len(group.targets) > 1 for group in self.groups)

    def models_at(self, provider: str) -> list[Target]:
        """Those of a provider, in whichever groups."""
        targets = (target for group in self.groups for target in group.targets)
        return [target for target in targets if target.spec.name == provider]

    def in_order(
        self, order: Callable[[tuple[Target, ...]], tuple[Target, ...]]
    ) -> tuple[Target, ...]:
        """All, each once, or once for each allotment of an alias; order: that within a group."""
        chosen: dict[tuple[str, str, str], Target] = {}
        known: set[tuple[str, str]] = set()
        for group in self.groups:
            targets = order(group.targets)
            for target in targets[:1] if group.only_best else targets:
                name, choice = (target.spec.name, target.model.id), target.choice
                if choice or name not in known:  # what follows an alias's choices never adds to one
                    own = choice.id if choice and choice.allotment else ""
                    chosen.setdefault((*name, own), target)
                known.add(name)
        return tuple(chosen.values())


def select_roomy(
    targets: Sequence[Target], tokens: int, excluded: Mapping[str, str]
) -> tuple[Target, ...]:
    """Those whose context holds a prompt of about `tokens`; where none does, those that may
    hold it all the same. excluded: why the other providers are none of them.

    Raises InvalidRequest where none can.
    """
    for times in (1, TOO_LONG):
        if fitting := [t for t in targets if tokens <= times * (t.model.context or tokens)]:
            return tuple(fitting)
    why = [
        f"{t.spec.name}: {t.model.id} has a context of {t.model.context} tokens" for t in targets
    ]
    why += [f"{name}: {reason}" for name, reason in excluded.items()]
    raise InvalidRequest(
        f"The prompt is too long, at about {tokens} tokens ({'; '.join(why)}).",
        param="messages",
        code="context_length_exceeded",
    )

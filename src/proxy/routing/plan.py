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

    @cached_property
    def _every(self) -> tuple[Target, ...]:
        return tuple(target for group in self.groups for target in group.targets)

    @cached_property
    def _has_aliased(self) -> bool:
        return any(target.choice for target in self._every)

    @cached_property
    def models_at(self) -> Mapping[str, list[Target]]:
        """By provider, those of it, in whichever groups."""
        found: dict[str, list[Target]] = {}
        for target in self._every:
            found.setdefault(target.spec.name, []).append(target)
        return found

    def in_order(
        self, order: Callable[[tuple[Target, ...]], tuple[Target, ...]]
    ) -> tuple[Target, ...]:
        """All, each once, or once for each allotment of an alias; order: that within a group."""
        every: list[Target] = []
        for group in self.groups:
            targets = order(group.targets)
            every += targets[:1] if group.only_best else targets
        chosen: dict[tuple[str, ...], Target] = {}
        if not self._has_aliased:
            for target in every:
                chosen.setdefault(target.name, target)
            return tuple(chosen.values())
        known: set[tuple[str, str]] = set()
        for target in every:
            name, choice = target.name, target.choice
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

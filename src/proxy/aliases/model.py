"""An alias as operators write it, as it is kept, and as it is shown."""

from typing import Annotated, Literal

from msgspec import Meta

from proxy.core.cache_control import CacheMode
from proxy.core.chat import Strategy
from proxy.core.choices import Allotment
from proxy.core.forms import ALIAS_NAME, ONE_LINE, VISIBLE
from proxy.core.money import NANO, to_nano
from proxy.core.preset import Parameters, Part, Preset, SystemMode

MOST_BYTES = 16 * 1024
"""Bytes of an alias's JSON."""

AliasName = Annotated[str, Meta(pattern=ALIAS_NAME)]
_Visible = Annotated[str, Meta(min_length=1, max_length=256, pattern=VISIBLE)]
_Line = Annotated[str, Meta(max_length=256, pattern=ONE_LINE)]
_Word = Annotated[str, Meta(max_length=512)]
_Words = Annotated[tuple[_Word, ...], Meta(min_length=1, max_length=64)]
_Dollars = Annotated[float, Meta(ge=1 / NANO, le=1_000_000)]
_Tokens = Annotated[int, Meta(ge=0, le=1_000_000_000)]
_Many = Annotated[int, Meta(ge=1, le=10_000_000)]


class Range(Part, frozen=True, kw_only=True):
    """Whole numbers, both ends included."""

    min: _Tokens | None = None
    max: _Tokens | None = None


class When(Part, frozen=True, kw_only=True):
    """The requests for which a target is meant: all that is given must hold."""

    keys: Annotated[tuple[_Visible, ...], Meta(min_length=1, max_length=100)] | None = None
    """The ids of callers' keys."""
    users: Annotated[tuple[_Line, ...], Meta(min_length=1, max_length=100)] | None = None
    """Names of users, or patterns with `*`, `?` or `[abc]`."""
    metadata: (
        Annotated[
            dict[Annotated[str, Meta(max_length=64)], _Word | _Words],
            Meta(min_length=1, max_length=16),
        ]
        | None
    ) = None
    """Labels of the request, each with the value, or the values, that it may have."""
    needs: (
        Annotated[
            tuple[Literal["vision", "tools", "json", "reasoning"], ...],
            Meta(min_length=1, max_length=4),
        ]
        | None
    ) = None
    """Abilities all of which the request needs."""
    prompt_tokens: Range | None = None
    """How long the prompt is, by the proxy's own estimate."""


class Limit(Part, frozen=True, kw_only=True):
    """Requests that all callers together may make of a target."""

    per_hour: _Many
    burst: Annotated[int, Meta(ge=1, le=1_000_000)] | None = None
    """At once; None: an hour's worth."""


class Spending(Part, frozen=True, kw_only=True):
    """US dollars that a target may cost all callers together, by day and month of UTC."""

    day: _Dollars | None = None
    month: _Dollars | None = None


class AliasTarget(Part, frozen=True, kw_only=True):
    """A model that an alias may stand for."""

    model: _Visible
    """A name of the catalogue."""
    id: _Visible | None = None
    """By which its limit and its budget are counted; None: the model's name."""
    weight: Annotated[float, Meta(ge=0, le=1_000_000)] | None = None
    when: When | None = None
    limit: Limit | None = None
    budget: Spending | None = None

    @property
    def own_id(self) -> str:
        """Its id within the alias."""
        return self.id or self.model

    def make_allotment(self, alias: str) -> Allotment | None:
        """What may be used of it; None: nothing limits that."""
        limit, budget = self.limit, self.budget
        if limit is None and budget is None:
            return None
        return Allotment(
            # No two targets of two aliases have one name: either part may hold colons.
            name=f"alias:{alias.replace(':', '%3A')}:{self.own_id}",
            label=f"{self.own_id} in the alias {alias}",
            per_hour=limit.per_hour if limit else None,
            burst=(limit.burst or min(limit.per_hour, 1_000_000)) if limit else 1,
            day=to_nano(budget.day) if budget else None,
            month=to_nano(budget.month) if budget else None,
        )


class CacheDefaults(Part, frozen=True, kw_only=True):
    """What holds of the cache where the request says nothing."""

    ttl: Annotated[int, Meta(ge=1, le=366 * 24 * 3600)] | None = None
    """Seconds."""
    mode: CacheMode = "default"


class Alias(Part, frozen=True, kw_only=True):
    """A name of an operator's for a choice of models, with what goes with it."""

    name: AliasName = ""
    """Empty where the path names it."""
    targets: Annotated[tuple[AliasTarget, ...], Meta(min_length=1, max_length=64)]
    strategy: Strategy | Literal["weighted"] | None = None
    """None: `weighted` where a target has a weight, else `priority`."""
    fallback: bool = False
    """Whether other providers' models follow, as for a model that is named."""
    defaults: Parameters = Parameters()
    fixed: Parameters = Parameters()
    system: Annotated[str, Meta(min_length=1, max_length=16_000)] | None = None
    system_mode: SystemMode = "prepend"
    timeout: Annotated[int, Meta(ge=1, le=600_000)] | None = None
    """Milliseconds, where the request gives none."""
    cache: CacheDefaults | None = None
    description: _Line | None = None

    @property
    def order(self) -> Strategy | Literal["weighted"]:
        """How its targets are ordered."""
        weighted = any(target.weight is not None for target in self.targets)
        return self.strategy or ("weighted" if weighted else "priority")

    def list_allotments(self) -> dict[str, Allotment]:
        """What may be used of its targets, by their ids; of those that something limits."""
        made = {target.own_id: target.make_allotment(self.name) for target in self.targets}
        return {id_: allotment for id_, allotment in made.items() if allotment}

    @property
    def preset(self) -> Preset:
        """What it puts into a request."""
        return Preset(
            defaults=self.defaults,
            fixed=self.fixed,
            system=self.system or "",
            system_mode=self.system_mode,
        )

"""What the strategies' tests have in common."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from math import sqrt
from typing import Any

from proxy.providers.specs import Endpoint, Model, ProviderSpec
from proxy.providers.target import Target
from proxy.routing.measures import Measure
from proxy.routing.scores import Candidate, Preferences
from proxy.routing.strategy import Order, compare
from proxy.routing.strategy import order as order_standings

STRATEGIES = ("priority", "cheapest", "fastest", "reliable", "balanced", "weighted")
EVENLY = {"cost": 1.0, "latency": 1.0, "success": 1.0}
MANY = 100.0


def seldom() -> float:
    """A draw that explores nothing."""
    return 0.999


def draws(*values: float) -> Callable[[], float]:
    return iter(values).__next__


def candidate(name: str, cost: int | None = None, **measure: Any) -> Candidate:
    """`provider/model`; what has times has many samples, unless it says otherwise."""
    provider, _, model = name.partition("/")
    samples = MANY if measure else 0.0
    measure = {
        "weight": samples,
        "first_weight": samples if "first_ms" in measure else 0.0,
    } | measure
    spec = ProviderSpec(name=provider, endpoints={"chat": Endpoint()})
    target = Target(spec, Model(provider=provider, id=model or "m"), "https://p.test", "chat")
    return Candidate(target, Measure(**measure), cost)


def order(
    candidates: Sequence[Candidate], preferences: Preferences, random: Callable[[], float]
) -> Order:
    return order_standings(compare(candidates, preferences), preferences, random)


def ordered(
    candidates: Iterable[Candidate],
    strategy: str,
    weights: Mapping[str, float] = EVENLY,
    random: Callable[[], float] = seldom,
) -> Order:
    return order([*candidates], Preferences(strategy, weights), random)


def weighted(
    candidates: Iterable[Candidate],
    shares: Mapping[str, float],
    sticky: str | None = None,
    random: Callable[[], float] = seldom,
) -> Order:
    return order([*candidates], Preferences("weighted", EVENLY, shares, sticky), random)


def names(result: Order) -> str:
    return " ".join(target.spec.name for target in result.targets)


def first(result: Order) -> str:
    return result.targets[0].spec.name


def notes(result: Order) -> dict[str, str | None]:
    return {scored.provider: scored.note for scored in result.scores}


def scores(result: Order) -> dict[str, Any]:
    return {scored.provider: scored.score for scored in result.scores}


# Canaries


TRIO = [candidate("a"), candidate("b"), candidate("c")]


def within(count: int, of: int, share: float) -> bool:
    """Five standard deviations."""
    return abs(count - of * share) <= 5 * sqrt(of * share * (1 - share))

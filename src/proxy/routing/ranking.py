"""Ranks a request's candidates by the strategy that it names, or the deployment's."""

from collections.abc import Callable
from functools import partial

from proxy.core.chat import Routing
from proxy.core.permit import Permit
from proxy.core.ports import Random
from proxy.core.settings import RoutingSettings
from proxy.providers.target import Target
from proxy.routing.plan import Plan
from proxy.routing.strategy import Candidate, Order, Preferences, order
from proxy.routing.watch import Watch


class Ranker:
    """Ranks by what the deployment prefers and what is known of the candidates."""

    def __init__(self, settings: RoutingSettings, watch: Watch, random: Random) -> None:
        self._settings = settings
        self._watch = watch
        self._random = random

    def rank(
        self, plan: Plan, routing: Routing, user: str | None, permit: Permit
    ) -> tuple[tuple[Target, ...], Callable[[], list[Order]]]:
        """The candidates, best first, and a function that explains their order group by group."""
        default = "priority" if routing.order else self._settings.strategy
        strategy = routing.strategy or default
        order_group = partial(self._order, strategy, user or permit.user, permit)
        if strategy == "priority":  # needs no scores, unless an operator wants them explained
            return plan.targets, lambda: [order_group(group.targets) for group in plan.groups]
        orders: list[Order] = []

        def best_first(targets: tuple[Target, ...]) -> tuple[Target, ...]:
            orders.append(order_group(targets))
            return orders[-1].targets

        return plan.in_order(best_first), lambda: orders

    def _order(
        self, strategy: str, user: str, permit: Permit, targets: tuple[Target, ...]
    ) -> Order:
        """The models of a group by a strategy."""
        settings = self._settings
        preferences = Preferences(
            strategy=strategy,
            weights=settings.balance,
            shares=settings.weights,
            sticky=user if settings.sticky else None,
        )
        candidates = [self._candidate(target, permit) for target in targets]
        return order(candidates, preferences, self._random.fraction)

    def _candidate(self, target: Target, permit: Permit) -> Candidate:
        cost = target.model.prices.compute_cost(permit.expected(target.model.max_output))
        return Candidate(target, self._watch.measure(target), cost.nano_usd)

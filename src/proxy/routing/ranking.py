"""Ranks a request's candidates by the strategy that it names, or the deployment's."""

from collections.abc import Callable

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
        settings, orders = self._settings, list[Order]()
        default = "priority" if routing.order else settings.strategy
        preferences = Preferences(
            strategy=routing.strategy or default,
            weights=settings.balance,
            shares=settings.weights,
            sticky=user or permit.user if settings.sticky else None,
        )

        def order_group(targets: tuple[Target, ...]) -> Order:
            candidates = [self._candidate(target, permit) for target in targets]
            return order(candidates, preferences, self._random.fraction)

        def best_first(targets: tuple[Target, ...]) -> tuple[Target, ...]:
            orders.append(order_group(targets))
            return orders[-1].targets

        def explain() -> list[Order]:
            return orders or [order_group(group.targets) for group in plan.groups]

        # The configured order needs no scores, unless an operator wants them explained.
        by_priority = preferences.strategy == "priority"
        return plan.in_order(None if by_priority else best_first), explain

    def _candidate(self, target: Target, permit: Permit) -> Candidate:
        cost = target.model.prices.compute_cost(permit.expected(target.model.max_output))
        return Candidate(target, self._watch.measure(target), cost.nano_usd)

"""Ranks a request's candidates by the strategy that it names, or the deployment's, and keeps its
conversation where it was.

A conversation never goes against what its request says of the order, past an open breaker or out of
the models that mean the same to the caller.
"""

from collections.abc import Callable, Sequence
from functools import partial

from msgspec import Struct

from proxy.core.chat import Routing
from proxy.core.permit import Permit
from proxy.core.ports import Random
from proxy.core.settings import RoutingSettings
from proxy.providers.target import Target
from proxy.routing.affinity import Conversation, Homes
from proxy.routing.plan import Plan
from proxy.routing.strategy import EXPLORING, Candidate, Order, Preferences, order
from proxy.routing.watch import Watch


class Ranking(Struct, frozen=True):
    """The candidates of a request in their order."""

    targets: tuple[Target, ...]
    explain: Callable[[], list[Order]]
    """Says why they stand so, group by group."""
    strategy: str
    conversation: Conversation | None
    """The conversation that had a say; None: none had."""


class Ranker:
    """Ranks by what the deployment prefers and what is known of the candidates."""

    def __init__(self, settings: RoutingSettings, watch: Watch, random: Random) -> None:
        self._settings = settings
        self._watch = watch
        self._random = random
        self._homes = Homes()

    def rank(
        self,
        plan: Plan,
        routing: Routing,
        user: str | None,
        permit: Permit,
        conversation: Conversation | None = None,
    ) -> Ranking:
        """The candidates, best first. conversation: None: the request belongs to none."""
        default = "priority" if routing.order else self._settings.strategy
        strategy = routing.strategy or default
        if not self._may_steer(plan, routing):
            conversation = None
        preferences = self._prefer(plan, routing, strategy, user or permit.user, conversation)
        order_group = partial(self._order, preferences, permit)
        if strategy == "priority":  # needs no scores, unless an operator wants them explained
            first, targets = preferences.first, plan.targets
            if first:
                targets = plan.in_order(partial(_put_first, first))
            return Ranking(
                targets,
                lambda: [order_group(group.targets) for group in plan.groups],
                strategy,
                conversation,
            )
        orders: list[Order] = []

        def best_first(targets: tuple[Target, ...]) -> tuple[Target, ...]:
            orders.append(order_group(targets))
            return orders[-1].targets

        return Ranking(plan.in_order(best_first), lambda: orders, strategy, conversation)

    def settle(self, ranking: Ranking, routing: Routing, provider: str) -> None:
        """Makes the provider that has answered the conversation's home, where its next turn would
        not go there anyway."""
        conversation = ranking.conversation
        if conversation is None:
            return
        is_first = provider == ranking.targets[0].spec.name
        if is_first and ranking.strategy not in EXPLORING and not self._homes:
            return
        self._homes.keep(conversation, routing.model, provider, self._watch.now)

    def _may_steer(self, plan: Plan, routing: Routing) -> bool:
        """Whether a conversation may have a say in the order."""
        return (
            self._settings.session_affinity
            and plan.has_choice
            and not routing.order
            and routing.strategy != "priority"
        )

    def _prefer(
        self,
        plan: Plan,
        routing: Routing,
        strategy: str,
        user: str,
        conversation: Conversation | None,
    ) -> Preferences:
        """What the candidates are ordered by."""
        settings, key, home, first = self._settings, None, "", ""
        sticky = user if settings.sticky else None
        if conversation:
            home = self._find_home(plan, routing, conversation)
            if not routing.strategy:
                first = next((name for name in conversation.states if self._can(plan, name)), "")
            if strategy in ("priority", "weighted"):
                first = first or home
            if strategy != "priority":
                key = conversation.key
            if conversation.is_named or not settings.sticky:
                sticky = key
        return Preferences(
            strategy=strategy,
            weights=settings.balance,
            shares=settings.weights,
            sticky=sticky,
            conversation=key,
            home=home,
            first=first,
        )

    def _find_home(self, plan: Plan, routing: Routing, conversation: Conversation) -> str:
        """The home of a conversation, where it may be tried: it is none any more once a breaker of
        its has opened."""
        if not self._homes:
            return ""  # most chains
        home = self._homes.find(conversation, routing.model, self._watch.now)
        if home and plan.models_at(home) and not self._can(plan, home):
            self._homes.forget(conversation, routing.model)
            return ""
        return home

    def _can(self, plan: Plan, provider: str) -> bool:
        """Whether a provider is among the candidates, and may be tried."""
        return any(not self._watch.openness(target) for target in plan.models_at(provider))

    def _order(
        self, preferences: Preferences, permit: Permit, targets: tuple[Target, ...]
    ) -> Order:
        """The models of a group by a strategy."""
        candidates = [self._candidate(target, permit) for target in targets]
        return order(candidates, preferences, self._random.fraction)

    def _candidate(self, target: Target, permit: Permit) -> Candidate:
        cost = target.model.prices.compute_cost(permit.expected(target.model.max_output))
        return Candidate(target, self._watch.measure(target), cost.nano_usd)


def _put_first(provider: str, targets: Sequence[Target]) -> tuple[Target, ...]:
    """The targets, those of a provider before the others."""
    return tuple(sorted(targets, key=lambda target: target.spec.name != provider))

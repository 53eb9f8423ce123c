"""What the selection's tests have in common."""

from proxy.core.chat import Routing
from proxy.core.principal import ModelGrant
from proxy.routing.needs import Needs
from proxy.routing.selection import Selection

ANY = ModelGrant()
TEXT = Needs()
VISION = Needs(frozenset({"vision"}))
EMBEDDING = Needs(embedding=True)
STREAMING = Needs(streaming=True)
REASONING = Needs(reasoning=True)


def chosen(selection: Selection, routing: Routing, needs: Needs = TEXT) -> list[str]:
    targets = selection.plan(routing, needs, ANY).targets
    return [f"{target.spec.name}/{target.model.id}" for target in targets]


def allowed(selection: Selection, routing: Routing, **grant: tuple[str, ...]) -> list[str]:
    targets = selection.plan(routing, TEXT, ModelGrant(**grant)).targets
    return [f"{target.spec.name}/{target.model.id}" for target in targets]

"""OpenRouter's own fields of the `provider` object."""

import msgspec
import pytest
from msgspec import structs

from proxy.core.chat import Routing
from proxy.core.errors import InvalidRequest
from proxy.routing.needs import Needs
from proxy.routing.routing_key import RoutingKey
from proxy.routing.selection import Selection
from tests.unit.routing.making_selection import ANY


class TestOpenRoutersOwnFields:
    ALONE = Routing(model="openrouter/vendor/gpt", fallback=False)

    def sent(self, selection: Selection, routing: Routing, **fields: object) -> object:
        vendors = msgspec.json.encode(fields).decode() if fields else None
        targets = selection.plan(routing, Needs(vendors=vendors), ANY).targets
        assert {target.spec.name for target in targets} == {"openrouter"}
        return targets[0].model.send.get("provider")

    @pytest.mark.parametrize(
        "routing",
        [
            ALONE,
            Routing(model="vendor/gpt", fallback=False),
            Routing(model="auto", provider="openrouter", fallback=False),
            Routing(model="auto", only=("openrouter",)),
            Routing(model="gpt", ignore=("gemini", "groq", "openai")),
        ],
    )
    def test_reach_it_where_it_alone_may_answer(
        self, selection: Selection, routing: Routing
    ) -> None:
        wish = {"data_collection": "deny", "max_price": {"prompt": 1}, "sort": "price"}
        assert self.sent(selection, routing, **wish) == wish

    @pytest.mark.parametrize("name", ["order", "only", "ignore"])
    @pytest.mark.parametrize("vendors", [("anthropic",), ("groq", "together/fp8"), ("openai",)])
    def test_vendors_reach_it(
        self, selection: Selection, name: str, vendors: tuple[str, ...]
    ) -> None:
        routing = structs.replace(self.ALONE, **{name: ("openrouter", *vendors)})
        assert self.sent(selection, routing) == {name: list(vendors)}

    def test_lists_of_the_proxys_own_providers_stay_here(self, selection: Selection) -> None:
        routing = Routing(model="auto", only=("openrouter",), order=("groq",))
        assert self.sent(selection, routing, zdr=True) == {"zdr": True}
        assert self.sent(selection, routing) is None

    @pytest.mark.parametrize(
        ("routing", "fields", "param", "reason"),
        [
            (Routing(), {"zdr": True}, "provider.zdr", "Only OpenRouter knows this"),
            (
                Routing(model="vendor/gpt"),
                {"data_collection": "deny"},
                "provider.data_collection",
                "",
            ),
            (Routing(), {"sort": {"by": "price"}}, "provider.sort", "Only OpenRouter"),
            (
                Routing(order=("anthropic",)),
                {},
                "provider.order",
                "'anthropic' is no provider; there",
            ),
            (Routing(only=("groq", "Together")), {}, "provider.only", "'Together' is no provider"),
        ],
    )
    def test_are_refused_where_others_may_answer(
        self,
        selection: Selection,
        routing: Routing,
        fields: dict[str, object],
        param: str,
        reason: str,
    ) -> None:
        vendors = msgspec.json.encode(fields).decode() if fields else None
        with pytest.raises(InvalidRequest, match=f"{param}: {reason}") as caught:
            selection.plan(routing, Needs(vendors=vendors), ANY)
        assert caught.value.param == param
        assert "with fallback false" in caught.value.message

    def test_what_both_understand_is_refused_nowhere(self, selection: Selection) -> None:
        needs = Needs(vendors='{"allow_fallbacks":true,"sort":"price"}')
        targets = selection.plan(Routing(), needs, ANY).targets
        assert len(targets) == 4
        assert not any(target.model.send for target in targets)

    def test_make_another_routing_key(self, selection: Selection) -> None:
        keys = [
            selection.make_routing_key(
                structs.replace(self.ALONE, order=order), Needs(vendors=wish), ANY
            )
            for order in ((), ("anthropic",))
            for wish in (None, '{"zdr":true}')
        ]
        assert len({key.words() for key in keys}) == 4
        target = selection.plan(self.ALONE, Needs(vendors='{"zdr":true}'), ANY).targets[0]
        assert RoutingKey.of_model(target).words() == keys[1].words()

"""A wrong edit of the catalogue's file is described with its place."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from proxy.providers.catalog import Catalog


def small() -> dict[str, Any]:
    """A file with one provider, a chat model and an embedding model."""
    return {
        "providers": {"acme": {"endpoints": {"chat": {}}, "tiers": {"auto": "a"}}},
        "models": [
            {"provider": "acme", "id": "a", "input": 1, "can": ["tools"]},
            {"provider": "acme", "id": "e", "mode": "embedding"},
        ],
        "aliases": {"old": "acme/a"},
    }


def message(file: dict[str, Any] | str) -> str:
    text = file if isinstance(file, str) else json.dumps(file)
    with pytest.raises(ValueError) as caught:
        Catalog(text.encode())
    return str(caught.value)


def test_the_small_file_is_right() -> None:
    assert Catalog(json.dumps(small()).encode()).aliases == {"old": "acme/a"}


def provider(**fields: Any) -> Callable[[dict[str, Any]], None]:
    return lambda file: file["providers"]["acme"].update(fields)


def model(**fields: Any) -> Callable[[dict[str, Any]], None]:
    return lambda file: file["models"][0].update(fields)


def alias(**names: str) -> Callable[[dict[str, Any]], None]:
    return lambda file: file["aliases"].update(names)


STEP = {"above": 9, "input": 2}


def rates(*rates: dict[str, Any]) -> Callable[[dict[str, Any]], None]:
    return model(output=2, rates=rates)


def ends(replaced_by: str | None) -> Callable[[dict[str, Any]], None]:
    return model(shutdown="2026-12-01", replaced_by=replaced_by)


@pytest.mark.parametrize(
    ("edit", "parts"),
    [
        (model(inptu=1), ["model a: ", "unknown field `inptu`"]),
        (model(input="1.5"), ["model a: ", "Expected `float | null`, got `str`", "$.input"]),
        (model(input=-1), ["model a: ", ">= 0", "$.input"]),
        (model(context=0), ["model a: ", ">= 1", "$.context"]),
        (model(can=["visoin"]), ["model a: ", "'visoin'", "$.can"]),
        (model(mode="video"), ["model a: ", "'video'", "$.mode"]),
        (model(provider="nobody"), ["model a: there is no provider nobody"]),
        (provider(endpoints={"klingon": {}}), ["provider acme: ", "'klingon'", "$.endpoints"]),
        (provider(base_ulr="x"), ["provider acme: ", "unknown field `base_ulr`"]),
        (provider(tiers={"auto": "b"}), ["provider acme: tier auto names b, which is not among"]),
        (provider(tiers={"best": "a"}), ["provider acme: no tier is called best", "auto, fast"]),
        (provider(tiers={"auto": "e"}), ["provider acme: tier auto names e, which is no chat"]),
        (provider(tiers={"vision": "a"}), ["tier vision names a, which has no vision"]),
        (provider(tiers={"reasoning": "a"}), ["tier reasoning names a, which has no reasoning"]),
        (provider(embedding_model="b"), ["embedding_model names b, which is not among"]),
        (provider(embedding_model="a"), ["embedding_model names a, which is no embedding model"]),
        (alias(new="acme/b"), ["alias new names acme/b, which is not among the models"]),
        (alias(new="a"), ["alias new names a, which is not among the models"]),
        (alias(a="acme/a"), ["alias a hides the tier or model of that name"]),
        (alias(fast="acme/a"), ["alias fast hides the tier or model of that name"]),
        ((alias(**{"acme/x": "acme/a"})), ["alias acme/x begins with a provider's name"]),
        (lambda file: file.update(alias={}), ["unknown field `alias`"]),
        (lambda file: file.pop("models"), ["missing required field `models`"]),
        (lambda file: file["aliases"].update(x=1), ["Expected `str`, got `int`", "aliases"]),
        (lambda file: file["models"].append(7), ["model number 3: ", "got `int`"]),
        (lambda file: file["models"].append({"provider": "acme"}), ["model number 3: ", "`id`"]),
        (lambda file: file["models"].append(file["models"][0]), ["model a of acme stands 2 times"]),
        (
            lambda file: file["models"][0].update(
                endpoints=["messages", "chat"], tools_endpoint="responses"
            ),
            [
                "model a: acme has no endpoint messages",
                "model a: acme has no endpoint responses",
            ],
        ),
        (rates({"from": "2026-13-01", "input": 2}), ["model a: ", "$.rates[0].from"]),
        (rates({"from": "2026-12-01T00:00:00Z", "input": 2}), ["model a: ", "$.rates[0].from"]),
        (rates({"hours": "16:30-24:30", "input": 2}), ["model a: ", "$.rates[0].hours"]),
        (rates({"hours": "16:30", "input": 2}), ["model a: ", "$.rates[0].hours"]),
        (rates({"above": 0, "input": 2}), ["model a: ", "$.rates[0].above"]),
        (rates({"above": 9, "input": -2}), ["model a: ", "$.rates[0].input"]),
        (rates({"abvoe": 9, "input": 2}), ["model a: ", "unknown field `abvoe`"]),
        (rates({"above": 9}), ["model a: rate 1: it has no price"]),
        (rates({"input": 2}), ["model a: rate 1: it has no condition"]),
        (rates(STEP, {"hours": "04:00-04:00", "input": 2}), ["rate 2: hours 04:00-04:00 begin"]),
        (
            rates({"from": "2027-01-01", "until": "2027-01-01", "input": 2}),
            ["model a: rate 1: until 2027-01-01 is not after from 2027-01-01"],
        ),
        (model(rates=[STEP]), ["model a: it has rates without base prices"]),
        (model(shutdown="soon"), ["model a: ", "$.shutdown"]),
        (model(replaced_by="e"), ["model a: replaced_by stands without shutdown"]),
        (model(deprecated="2026-12-01"), ["model a: deprecated stands without shutdown"]),
        (
            model(deprecated="2026-12-02", shutdown="2026-12-01"),
            ["model a: deprecated 2026-12-02 is after shutdown 2026-12-01"],
        ),
        (ends("b"), ["model a: replaced_by names b, which is not among the models"]),
        (ends("acme/b"), ["model a: replaced_by names acme/b, which is not among the models"]),
        (ends("e"), ["model a: replaced_by names e, which is no chat model"]),
        (ends("a"), ["model a: replaced_by leads back to a"]),
        (ends(None), ["tier auto names a, which ends on 2026-12-01, and acme has no other"]),
        (
            lambda file: file["models"][1].update(shutdown="2026-12-01", replaced_by="e"),
            ["model e: replaced_by names e, but nothing replaces an embedding model"],
        ),
    ],
)
def test_a_wrong_edit_is_told_with_its_place(
    edit: Callable[[dict[str, Any]], None], parts: list[str]
) -> None:
    file = small()
    edit(file)
    text = message(file)
    assert text.startswith("catalog.json: ")
    for expected in parts:
        assert expected in text


def test_models_that_replace_one_another_are_told() -> None:
    file = small()
    ends("b")(file)
    file["models"].append({"provider": "acme", "id": "b", "shutdown": "2027-01-01"})
    Catalog(json.dumps(file | {"providers": {"acme": {"endpoints": {"chat": {}}}}}).encode())
    assert "tier auto names a, which ends on 2026-12-01" in message(file)
    file["models"][-1]["replaced_by"] = "a"
    assert "model a: replaced_by leads back to a; model b: replaced_by leads" in message(file)


def test_a_tier_is_told_whose_models_replacement_can_not_do_it() -> None:
    file = small()
    model(can=["vision"])(file)
    ends("blind")(file)
    provider(tiers={"vision": "a"})(file)
    file["models"].append({"provider": "acme", "id": "blind", "can": []})
    assert "tier vision names a, which blind replaces, which has no vision" in message(file)


def test_all_wrong_entries_are_told_at_once() -> None:
    file = small()
    provider(base_ulr="x")(file)
    model(input="1")(file)
    file["models"][1]["colour"] = "red"
    text = message(file)
    assert "provider acme: " in text and "model a: " in text and "model e: " in text


def test_all_wrong_names_are_told_at_once() -> None:
    file = small()
    provider(tiers={"auto": "b", "best": "a"}, embedding_model="a")(file)
    alias(new="acme/z")(file)
    file["models"].append({"provider": "nobody", "id": "n"})
    text = message(file)
    for part in ("tier auto", "called best", "embedding_model", "alias new", "provider nobody"):
        assert part in text


@pytest.mark.parametrize(
    ("text", "place"),
    [
        (json.dumps(small(), indent=1).replace('"id": "e",', '"id": "e"'), "line 24 column"),
        ("", "line 1 column 1"),
        ("[]", "Expected `object`"),
        (json.dumps(small()).replace('"input": 1', '"input": NaN'), "model a: "),
        (json.dumps(small()).replace('"input": 1', '"input": Infinity'), "malformed"),
    ],
)
def test_what_is_not_json_is_told_with_its_line(text: str, place: str) -> None:
    assert place in message(text)


def test_bytes_that_are_no_text_are_refused() -> None:
    with pytest.raises(ValueError, match=r"catalog\.json: "):
        Catalog(b'{"\xff": 1}')

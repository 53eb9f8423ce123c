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


@pytest.mark.parametrize(
    ("edit", "parts"),
    [
        (model(inptu=1), ["model a: ", "unknown field `inptu`"]),
        (model(input="1.5"), ["model a: ", "Expected `float | null`, got `str`", "$.input"]),
        (model(input=-1), ["model a: ", ">= 0", "$.input"]),
        (model(context=0), ["model a: ", ">= 1", "$.context"]),
        (model(can=["visoin"]), ["model a: ", "'visoin'", "$.can"]),
        (model(mode="image"), ["model a: ", "'image'", "$.mode"]),
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

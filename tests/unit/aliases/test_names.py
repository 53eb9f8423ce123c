"""The spellings of an alias."""

import pytest

from proxy.aliases.names import Spelling, names_alias, read_spelling


@pytest.mark.parametrize(
    ("model", "spelling"),
    [
        ("support", Spelling("support")),
        ("custom/support", Spelling("support", is_certain=True)),
        ("dynamic/support", Spelling("support", is_certain=True)),
        ("@preset/support", Spelling("support", is_certain=True)),
        ("openai/gpt-4o@preset/a", Spelling("a", "openai/gpt-4o", is_certain=True)),
        ("gpt-4o@preset/a", Spelling("a", "gpt-4o", is_certain=True)),
        ("openai/gpt-4o", None),
        ("openrouter/a/b:free", None),
        ("@cf/meta/llama", None),
    ],
)
def test_what_is_read(model: str, spelling: Spelling | None) -> None:
    assert read_spelling(model) == spelling


@pytest.mark.parametrize("pattern", ["support", "custom/support", "sup*", "dynamic/*", "*"])
def test_what_a_list_of_models_names(pattern: str) -> None:
    assert names_alias(("other", pattern), "support")


@pytest.mark.parametrize("pattern", ["Support", "openai/*", "supp", "custom/other"])
def test_what_it_does_not(pattern: str) -> None:
    assert not names_alias((pattern,), "support")

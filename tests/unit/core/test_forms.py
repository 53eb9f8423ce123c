"""What errors say of a text's form: words, never the expression."""

import re
from types import ModuleType
from typing import Annotated

import msgspec
import pytest
from msgspec import Meta

from proxy.core.errors import InvalidRequest
from proxy.core.forms import WORDS
from proxy.dialects import anthropic_body, reading


@pytest.mark.parametrize("form", WORDS)
@pytest.mark.parametrize("dialect", [reading, anthropic_body], ids=["reading", "anthropic"])
def test_a_text_of_another_form_is_told_in_words(form: str, dialect: ModuleType) -> None:
    decoder = msgspec.json.Decoder(dict[str, Annotated[str, Meta(pattern=form)]])
    with pytest.raises(InvalidRequest) as caught:
        dialect.decode(decoder, b'{"a": "\\u0000"}')
    assert caught.value.message.endswith(f": {WORDS[form]}")


@pytest.mark.parametrize("form", WORDS)
@pytest.mark.parametrize("text", ["a\n", "\na", "\u2028"])
def test_a_form_is_of_the_whole_text(form: str, text: str) -> None:
    assert not re.search(form, text)

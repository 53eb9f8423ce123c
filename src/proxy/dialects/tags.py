"""LiteLLM's tags of a request: `metadata.tags` of its body, or the header `x-litellm-tags`
(LiteLLM, "Request Tags", "Tag Budgets")."""

import re
from collections.abc import Mapping
from contextlib import suppress

import msgspec

from proxy.core.forms import GROUP_NAME

TAGS = "x-litellm-tags"
"""Tags between commas."""
LABEL = "tags"
MOST_TAGS = 16
"""Tags that are read of a request."""
_TAG = re.compile(GROUP_NAME)
_LIST = msgspec.json.Decoder(list[object])


def read_tags(labels: Mapping[str, str], sent: Mapping[str, str]) -> tuple[str, ...]:
    """The tags that a caller sends, those of the header first; what can be no tag's name is left
    out. labels: the body's, of which a list is its JSON; sent: the request's headers."""
    named: list[object] = [*sent.get(TAGS, "").split(",")]
    with suppress(msgspec.DecodeError):  # a label of that name that is no list
        named += _LIST.decode(labels.get(LABEL, "[]"))
    tags = [text for tag in named if isinstance(tag, str) and _TAG.match(text := tag.strip())]
    return tuple(dict.fromkeys(tags))[:MOST_TAGS]

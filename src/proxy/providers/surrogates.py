"""Halves of characters. JSON may escape one surrogate of a pair alone (`"\\ud83d"`): a provider
has cut a character in two, over two pieces of a stream or at the end of a text. Half a character
has no UTF-8, so the halves are joined where the other one follows and replaced by U+FFFD else.
"""

import re
from collections.abc import Hashable

_ESCAPES = re.compile(
    rb"\\\\|\\u[dD][89abAB][0-9a-fA-F]{2}(?:\\u[dD][c-fC-F][0-9a-fA-F]{2})?"
    rb"|\\u[dD][c-fC-F][0-9a-fA-F]{2}"
)
"""Escaped backslashes, pairs of surrogates (12 bytes), and surrogates alone (6 bytes)."""
_ALONE = 6


def has_halves(data: bytes) -> bool:
    """Whether a JSON text escapes a surrogate that is alone."""
    if b"\\ud" not in data and b"\\uD" not in data:
        return False
    return any(len(found[0]) == _ALONE for found in _ESCAPES.finditer(data))


def mend(data: bytes) -> bytes:
    """The JSON text with U+FFFD in place of each surrogate that is alone: the very same bytes
    where there is none."""
    if not has_halves(data):
        return data
    return _ESCAPES.sub(lambda found: b"\\ufffd" if len(found[0]) == _ALONE else found[0], data)


class Halves:
    """Joins the texts of a stream where a character is cut; each text has a key of its own."""

    def __init__(self) -> None:
        self._held: dict[Hashable, str] = {}

    def __bool__(self) -> bool:
        """Whether half a character waits for the other half."""
        return bool(self._held)

    def join(self, key: Hashable, piece: str, *, last: bool = False) -> str:
        """The text that `piece` completes. Half a character at its end is held back for the next
        piece, unless this is the last."""
        text = self._held.pop(key, "") + piece
        if text and not last and "\ud800" <= text[-1] <= "\udbff":
            self._held[key] = text[-1]
            text = text[:-1]
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")

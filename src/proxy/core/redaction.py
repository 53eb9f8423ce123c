"""Takes secrets out of text that others wrote, in whichever form they quote them.

Promise: of a secret that stands there whole nothing is left. What a provider itself leaves of a
secret (`sk-abc***xyz`) stays: it says whose key is meant.
"""

import base64
import html
import json
import re
from collections.abc import Iterable
from functools import lru_cache
from urllib.parse import quote, quote_plus

MASK = "***"
_SHORT = 8
"""Characters below which a form is taken out only where it stands as a word of its own."""
_KNOWN = 256
"""Characters of a secret whose spellings are remembered: a caller may send keys of any length."""
_PLAIN = re.compile(r"[A-Za-z0-9_.~-]+")
_KEYS = re.compile(r"\b(?:sk-|gsk_|hf_|AIza|aep_)[\w-]{16,}")
"""Keys that are nobody's here: other deployments', the vendors' behind a provider."""
_CREDENTIALS = re.compile(
    r"\b(bearer|basic) {1,8}(?=[\w.~+/=-]{0,512}[0-9])[\w.~+/=-]{8,}", re.IGNORECASE
)


def redact(text: str, secrets: Iterable[str], *, cut: bool = False) -> str:
    """`text` without `secrets`, and without what looks like a key. cut: whether its end was cut
    off, so that the beginning of a secret that stands there goes too. The time taken grows with
    the text's length alone, so cut it first."""
    forms = sorted({f for secret in secrets if secret for f in _find_forms(secret)}, key=len)[::-1]
    lowered = text.lower()
    for form in forms:
        if form.lower() in lowered:
            text = _pattern(form).sub(MASK, text)
    if cut:
        text = text[: len(text) - max((_begun(text, form) for form in forms), default=0)]
    return _CREDENTIALS.sub(rf"\1 {MASK}", _KEYS.sub(MASK, text))


def _pattern(form: str) -> re.Pattern[str]:
    words = re.escape(form)
    if len(form) < _SHORT:
        words = rf"(?<![A-Za-z0-9]){words}(?![A-Za-z0-9])"
    return re.compile(words, re.IGNORECASE)


def _begun(text: str, form: str) -> int:
    """Characters at the end of `text` that begin `form`."""
    longest = min(len(form), len(text))
    return next((n for n in range(longest, 0, -1) if text.endswith(form[:n])), 0)


def _find_forms(secret: str) -> frozenset[str]:
    """The spellings of a secret."""
    return _known_forms(secret) if len(secret) <= _KNOWN else _forms(secret)


@lru_cache(maxsize=256)
def _known_forms(secret: str) -> frozenset[str]:
    return _forms(secret)


def _forms(secret: str) -> frozenset[str]:
    """The spellings of a secret in URLs, JSON (also within JSON), HTML, hexadecimal and base64."""
    data = secret.encode(errors="replace")
    forms = frozenset((secret, data.hex(), *_base64(data)))
    if _PLAIN.fullmatch(secret):  # as most keys are: nothing escapes it
        return forms
    escaped = json.dumps(secret)[1:-1]
    forms |= {escaped, escaped.replace("/", "\\/"), json.dumps(escaped)[1:-1]}
    forms |= {quote(data), quote(data, safe=""), quote(data, safe="!'()*"), quote_plus(data)}
    return forms | {html.escape(secret)}


def _base64(data: bytes) -> Iterable[str]:
    """The digits of base64 that come of `data` alone, wherever in a longer text it begins
    (`Bearer KEY`, `user:KEY`); a few digits are too common to be looked for."""
    for before in range(3):
        digits = base64.b64encode(bytes(before) + data).decode()
        own = digits[(before * 8 + 5) // 6 : (before + len(data)) * 8 // 6]
        if len(own) >= _SHORT:
            yield own
            yield own.translate(str.maketrans("+/", "-_"))

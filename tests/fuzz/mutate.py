"""Changes values and bytes in ways in which nobody should."""

import gzip
import json
import zlib
from collections.abc import Callable, Iterator
from copy import deepcopy
from random import Random
from typing import Any

Place = tuple[Any, Any]
"""What holds a value, and its key or index there."""


class Raw:
    """Text that stands in the JSON as it is."""

    def __init__(self, text: str) -> None:
        self.text = text


INSIDE = (
    *("https://127.0.0.1/x", "https://[::ffff:10.0.0.1]/x", "https://2130706433/", "//169.254.1.1"),
    *("http://localhost:8787/admin/keys", "file:///etc/passwd", "gopher://a/", "data:,x"),
    *("https://user:pw@example.com/", "https://example.com\\@127.0.0.1/", "https://[", "https://%"),
)
PERSONAL = "jane.canary@example.com"
"""What the guardrail keeps from providers, where it is on."""
TEXTS = (
    *(PERSONAL, f"write to {PERSONAL} now", "4111 1111 1111 1111", "[EMAIL_1]"),
    *("", " ", "\0", "\x7f", "\u202e", "\ufeff", "e\u0301", "\ufdfa" * 50, "\U0001f600" * 300),
    *("a\r\nset-cookie: x=1", "%0d%0a", "../../admin/keys", "%2e%2e%2f", "a/b/c", "*", "a" * 257),
    *("__proto__", "constructor", "then", "toJSON", "null", "NaN", "-1", "1e999", "true", "{}"),
    *("data:image/png;base64,", "data:image/png;base64,!!!!", "data:", "<script>x</script>"),
    *("auto", "user", "assistant", "system", "tool", "text", "none", "json_schema", "[" * 200),
    *("{{user}}", "${jndi:ldap://x}", "'; DROP TABLE keys; --", "x" * 20_000, "key_ann"),
    *INSIDE,
)
NUMBERS: tuple[Any, ...] = (
    *(0, -1, 1, 2, 1.5, -0.0, 1e300, 5e-324, 2**31, 2**53 + 1, 2**63, 2**64, -(2**63) - 1, 10**40),
    *map(Raw, ("1e400", "-1e400", "NaN", "Infinity", "1E+2", "9" * 5000, "01", "0x10", "1.")),
)
RAWS = tuple(
    map(
        Raw,
        (
            *('"\\ud800"', '"\\udc00\\ud800"', '"\\u0000"', '"\\x"', '"\t"', "'a'", "undefined"),
            *("[" * 70 + "]" * 70, "[" * 5000, '{"a":' * 100 + "1" + "}" * 100, "[1,]", "{,}"),
            *("[" + "0," * 2000 + "0]", '{"__proto__": {"polluted": 1}}', '{"a": 1, "a": 2}', ""),
        ),
    )
)
NAMES = (
    *("type", "role", "content", "text", "id", "name", "x", "__proto__", "constructor", "stream"),
    *("model", "tools", "user", "metadata", "input", "image_url", "url", "arguments", "", "\0"),
    *("cache", "fallback", "timeout", "provider", "models", "store", "stop", "n", "logit_bias"),
)


def invent(dice: Random, depth: int = 0) -> Any:
    """Any value."""
    kind = dice.randrange(9 if depth < 3 else 6)
    if kind < 5:
        return dice.choice(dice.choice((TEXTS, TEXTS, NUMBERS, RAWS, (None, True, False))))
    if kind == 5:
        return "".join(chr(dice.randrange(0x20, 0xD800)) for _ in range(dice.randrange(12)))
    size = range(dice.randrange(4))
    if kind == 6:
        return [invent(dice, depth + 1) for _ in size]
    return {dice.choice(NAMES): invent(dice, depth + 1) for _ in size}


def find_places(value: Any) -> Iterator[Place]:
    """Every place within a value."""
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield value, key
            yield from find_places(value[key])


def mutate(dice: Random, value: Any, times: int) -> Any:
    """A copy of the value, changed in so many places."""
    changed = deepcopy(value)
    for _ in range(times):
        places = list(find_places(changed))
        if not places:
            return invent(dice)
        dice.choice(CHANGES)(dice, *dice.choice(places))
    return changed


def _replace(dice: Random, holder: Any, key: Any) -> None:
    holder[key] = invent(dice)


def _remove(dice: Random, holder: Any, key: Any) -> None:
    del holder[key]


def _add(dice: Random, holder: Any, key: Any) -> None:
    if isinstance(holder, dict):
        holder[dice.choice(NAMES)] = invent(dice)
    else:
        holder.insert(dice.randrange(len(holder) + 1), invent(dice))


def _repeat(dice: Random, holder: Any, key: Any) -> None:
    """Many of it, or a field twice."""
    if isinstance(holder, list):
        holder[key:key] = [holder[key]] * dice.choice((1, 2, 40))
    elif isinstance(key, str):
        again = invent(dice)
        holder[key] = Raw(f"{render(holder[key])}, {render(key)}: {render(again)}")


def _wrap(dice: Random, holder: Any, key: Any) -> None:
    holder[key] = dice.choice(([holder[key]], {"value": holder[key]}, {key: holder[key]}))


def _swap(dice: Random, holder: Any, key: Any) -> None:
    """What stands elsewhere in the same place."""
    other = dice.choice(list(find_places(holder)))
    holder[key] = deepcopy(other[0][other[1]])


def _respell(dice: Random, holder: Any, key: Any) -> None:
    value = holder[key]
    if isinstance(value, str):
        spellings = (value.upper(), f" {value}", f"{value}\0", value * 50, value[:-1], f"{value}\n")
        holder[key] = dice.choice(spellings)
    elif not isinstance(value, Raw):
        holder[key] = render(value)


CHANGES: tuple[Callable[[Random, Any, Any], None], ...] = (
    *(_replace, _replace, _replace, _remove, _add, _add, _repeat, _wrap, _swap, _respell),
)


def render(value: Any) -> str:
    """The value as JSON, Raw as it is."""
    raws: list[str] = []

    def keep(raw: Raw) -> str:
        raws.append(raw.text)
        return f"@raw{len(raws) - 1}@"

    text = json.dumps(value, default=keep)
    for number, raw in reversed(list(enumerate(raws))):
        text = text.replace(f'"@raw{number}@"', raw)
    return text


def garble(dice: Random, data: bytes) -> bytes:
    """The bytes, damaged."""
    at = dice.randrange(len(data) + 1)
    head, tail = data[:at], data[at:]
    damaged = (
        head,
        head + dice.randbytes(3) + tail,
        head + bytes([dice.randrange(256)]) + tail[1:],
        b"\xef\xbb\xbf" + data,
        data.decode(errors="replace").encode("utf-16"),
        data + head,
        head + dice.choice((b"\xed\xa0\x80", b"\xc0\xaf", b"\xff", b"\0")) + tail,
    )
    return dice.choice(damaged)


def gzipped(data: bytes, level: int) -> bytes:
    """The same bytes for the same data: gzip's head has the time otherwise (RFC 1952, 2.3.1)."""
    return gzip.compress(data, level, mtime=0)


BOMBS = (gzipped(bytes(30_000_000), 9), zlib.compress(bytes(30_000_000), 9))
"""30 MB each, which is more than a body may have."""


def pack(dice: Random, data: bytes) -> tuple[str, bytes]:
    """A coding and the body in it, in another, or in none."""
    coding = dice.choice(("gzip", "deflate", "x-gzip", "br", "identity", "zstd", "gzip, gzip", "*"))
    packed = dice.choice((gzipped, zlib.compress))(data, 1)
    body = dice.choice((packed, packed, packed, data, packed[:-3], packed + packed, *BOMBS))
    return coding, body

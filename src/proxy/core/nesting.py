"""Tells whether JSON text is safe to decode, before a decoder sees it.

Under Pyodide a decoder that recurses some 3,000 levels deep overruns WebAssembly's stack: that
kills the isolate and can't be caught, though CPython itself would raise RecursionError. And
20 MB of empty lists become some hundred MB of objects. So text that comes from outside
(bodies, and JSON that is carried in strings) is looked at first, at the speed of `bytes`.
"""

MAX_DEPTH = 64
"""Levels of nesting; no API that is spoken here needs as many."""
MAX_VALUES = 500_000
"""Values, keys counted: above the 300,000 tokens that OpenAI takes in one embedding request."""

_SHAPE = b'[]{},"'
_REST = bytes(set(range(256)) - set(_SHAPE))
_AS_SQUARE = bytes.maketrans(b"{}", b"[]")


def excess(text: bytes, max_values: int = MAX_VALUES) -> str | None:
    """Why `text` is not to be decoded, None if it may be. Text that is not JSON may pass: it
    is at most twice MAX_DEPTH deep wherever a decoder could get."""
    brackets = text.count(b"[") + text.count(b"{")
    if brackets <= MAX_DEPTH and (len(text) <= max_values or text.count(b",") < max_values):
        return None
    # Without escapes every other quote ends a string, so every other piece lies outside.
    unescaped = text.replace(b"\\\\", b"").replace(b'\\"', b"")
    shape = unescaped.translate(_AS_SQUARE, _REST)
    if shape.count(b'"') > 2 * max_values:
        return f"it holds more than {max_values} values"
    outside = b"".join(shape.split(b'"')[::2])
    if outside.count(b"[") + outside.count(b",") > max_values:
        return f"it holds more than {max_values} values"
    left = outside.replace(b",", b"")
    for _ in range(MAX_DEPTH):  # each round takes the innermost level away
        left = left.replace(b"[]", b"")
    if b"[]" in left or left.count(b"[") > MAX_DEPTH:
        return f"it is nested deeper than {MAX_DEPTH} levels"
    return None

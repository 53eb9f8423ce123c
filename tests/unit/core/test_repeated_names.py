"""An object of JSON that has a field twice, however its names are written."""

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.core.splice import FIELDS, repeats_a_name

SPACE = st.sampled_from(["", " ", "\n\t"])
SIGNS = {"/": ["/", "\\/", "\\u002f"], '"': ['\\"', "\\u0022"], "\n": ["\\n", "\\u000a"]}


@st.composite
def spelled(draw: st.DrawFn, name: str) -> str:
    """A JSON string, some signs of which are escaped."""
    ways = (SIGNS.get(sign, [sign, f"\\u{ord(sign):04x}", f"\\u{ord(sign):04X}"]) for sign in name)
    return '"' + "".join(draw(st.sampled_from(way)) for way in ways) + '"'


@given(st.lists(st.sampled_from(["", "a", "/", "a/", '"', "\n", "é"]), max_size=4), st.data())
@settings(max_examples=300)
def test_it_is_seen_however_names_are_written(names: list[str], data: st.DataObject) -> None:
    values = st.sampled_from(["1", '"a"', '"\\"a\\":"', '{"a":1,"b":"a"}', '["a"]', "null"])
    fields = (
        "".join(map(data.draw, (SPACE, spelled(name), SPACE, st.just(":"), SPACE, values, SPACE)))
        for name in names
    )
    body = ("{" + ",".join(fields) + (data.draw(SPACE) if not names else "") + "}").encode()
    assert list(json.loads(body)) == list(dict.fromkeys(names))
    assert repeats_a_name(body, FIELDS.decode(body)) == (len(set(names)) < len(names))


def test_it_is_seen_in_a_large_body() -> None:
    text = json.dumps("x" * 100_000)
    for body, repeats in [(f'{{"a":{text},"a":1}}', True), (f'{{"a":{text}, "b":1}}', False)]:
        encoded = body.encode()
        assert repeats_a_name(encoded, FIELDS.decode(encoded)) is repeats

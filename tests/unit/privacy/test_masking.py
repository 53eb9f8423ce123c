"""What is masked in JSON, where it stands there, and what comes back."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.privacy.findings import Detector
from proxy.privacy.kinds import KINDS
from proxy.privacy.masking import Masking, Placeholders
from proxy.privacy.restoring import Restoring
from tests.unit.cache.requests import Speaker
from tests.unit.work import count_steps

ALL = Detector(tuple(KINDS))
MAIL, CARD = "joe@x.example", "4111111111111111"


def mask(body: Any) -> tuple[Any, dict[str, str], Masking]:
    text = body if isinstance(body, str) else json.dumps(body)
    placeholders = Placeholders()
    masking = Masking(text, ALL, placeholders)
    return json.loads(masking.run()), placeholders.values, masking


def parts(*texts: str, **other: Any) -> Any:
    content = [{"type": "text", "text": text, **other} for text in texts]
    return {"messages": [{"role": "user", "content": content}]}


def texts(body: Any) -> list[str]:
    return [part["text"] for part in body["messages"][0]["content"]]


def test_the_same_value_has_the_same_placeholder() -> None:
    body = {"messages": [{"content": f"{MAIL} and ann@x.example"}, {"content": f"{MAIL}, {CARD}"}]}
    masked, values, masking = mask(body)
    assert [each["content"] for each in masked["messages"]] == [
        "[EMAIL_1] and [EMAIL_2]",
        "[EMAIL_1], [CARD_1]",
    ]
    assert values == {"[EMAIL_1]": MAIL, "[EMAIL_2]": "ann@x.example", "[CARD_1]": CARD}
    assert [(s.kind, s.field) for s in masking.sightings] == [
        ("email", "messages[0].content"),
        ("email", "messages[0].content"),
        ("email", "messages[1].content"),
        ("card", "messages[1].content"),
    ]


def test_what_holds_nothing_keeps_its_bytes() -> None:
    text = '{ "a" :\t"x\\u00e9\\/é" , "n":1.50,"n": [ ] }'
    placeholders = Placeholders()
    assert Masking(text, ALL, placeholders).run() == text
    text = '{ "a" :\t"\\u00e9\\/é", "b": "joe@x.example\\n" }'
    assert Masking(text, ALL, placeholders).run() == text.replace(MAIL, "[EMAIL_1]")


def test_a_placeholder_of_the_callers_own_is_another() -> None:
    masked, values, _ = mask({"a": f"[EMAIL_1] {MAIL}", "b": "\\u005bEMAIL_2\\u005d", "c": MAIL})
    assert masked["a"] == "[EMAIL_1] [EMAIL_3]"
    assert values == {"[EMAIL_3]": MAIL}
    masked, values, _ = mask('{"a": "\\u005bEMAIL_\\u0031]", "b": "joe@x.example"}')
    assert masked["b"] == "[EMAIL_2]"


@pytest.mark.parametrize(
    "text",
    [
        '{"a": "joe\\u0040x.example"}',
        '{"a": "{\\"to\\": \\"joe\\\\u0040x.example\\"}"}',
        '{"a": "{\\"b\\": \\"{\\\\\\"to\\\\\\": \\\\\\"joe\\\\\\\\u0040x.example\\\\\\"}\\"}"}',
    ],
)
def test_escapes_hide_nothing(text: str) -> None:
    masked, values, _ = mask(text)
    assert values == {"[EMAIL_1]": MAIL}
    assert "x.example" not in json.dumps(masked)


def test_names_that_are_no_placeholders_count_for_nothing() -> None:
    masked, _, _ = mask({"a": f"EMAIL_1 = {MAIL}"})
    assert masked["a"] == "EMAIL_1 = [EMAIL_1]"


def test_arguments_of_tools_stay_json() -> None:
    arguments = json.dumps({"to": MAIL, "card": int(CARD), "cards": [int(CARD)], "n": 12})
    call = {"function": {"name": "send", "arguments": arguments}}
    masked, values, _ = mask({"tool_calls": [call], "input": {"card": int(CARD)}})
    assert json.loads(masked["tool_calls"][0]["function"]["arguments"]) == {
        "to": "[EMAIL_1]",
        "card": "[CARD_1]",
        "cards": ["[CARD_1]"],
        "n": 12,
    }
    assert masked["input"] == {"card": "[CARD_1]"}
    assert values == {"[EMAIL_1]": MAIL, "[CARD_1]": CARD}


@pytest.mark.parametrize(
    "number",
    [CARD, f"{CARD}.0", f"{CARD}.00", f"-{CARD}", "4.111111111111111e15", "41111111111111110E-1"],
)
def test_a_number_is_a_card_however_it_is_written(number: str) -> None:
    masked, values, _ = mask(f'{{"card": {number}, "n": [{number}]}}')
    assert masked == {"card": "[CARD_1]", "n": ["[CARD_1]"]}
    assert values == {"[CARD_1]": CARD}
    assert mask(f'{{"n": {CARD}.5}}')[1] == {}


def test_what_is_split_between_parts_is_one() -> None:
    masked, values, masking = mask(parts("I am joe@", "x.exa", "mple, and ", f"{MAIL}."))
    assert values == {"[EMAIL_1]": MAIL}
    assert texts(masked) == ["I am [EMAIL_1]", "", ", and ", "[EMAIL_1]."]
    assert len(masking.sightings) == 2
    masked, values, _ = mask(parts("4111 1111 ", "1111 1111"))
    assert texts(masked) == ["[CARD_1]", ""]


@pytest.mark.parametrize("name", ["te\\u0078t", "Text"])
def test_a_part_is_one_however_its_text_is_named(name: str) -> None:
    body = json.dumps(parts("I am joe@", "x.example")).replace('"text":', f'"{name}":')
    assert mask(body)[1] == {"[EMAIL_1]": MAIL}


def test_what_stands_in_a_part_is_not_made_longer_by_its_neighbour() -> None:
    masked, values, _ = mask(parts("I am joe", "ann@x.example"))
    assert texts(masked) == ["I am joe", "[EMAIL_1]"]
    assert values == {"[EMAIL_1]": "ann@x.example"}


def test_parts_of_two_messages_and_those_beside_an_image_are_not_joined() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 400}}
    two = [{"content": parts("joe@")["messages"][0]["content"]}, {"content": "x.example"}]
    assert mask({"messages": two})[1] == {}
    between = [{"type": "text", "text": "joe@"}, image, {"type": "text", "text": "x.example"}]
    assert mask({"messages": [{"content": between}]})[1] == {}


def test_images_are_passed_over() -> None:
    url = "data:image/png;base64," + "AKIAIOSFODNN7EXAMPLE" * 20 + "=="
    body = {"url": url, "source": {"data": url.partition(",")[2]}}
    masked, values, _ = mask(body)
    assert masked == body and values == {}


@pytest.mark.parametrize(
    ("body", "is_so"),
    [
        ({"input": [1, 2]}, True),
        ({"input": [[1, 2]]}, True),
        ({"prompt": [3]}, True),
        ('{"inp\\u0075t": [1]}', True),
        ('{"PROMPT": [[1]]}', True),
        ('{"input": "a", "input": [1], "input": "a"}', True),
        ({"input": ["a"], "dimensions": 3}, False),
        ({"input": [{"a": 1}]}, False),
        ({"stop": [1]}, False),
    ],
)
def test_prompts_of_tokens_are_known(body: Any, is_so: bool) -> None:
    assert mask(body)[2].has_tokens is is_so


@pytest.mark.parametrize(
    "text", ['{"a": "joe@x.example', '{"a": [1, "joe@x.example\\', "joe", "]]}}", '"', "{,,}", ""]
)
def test_what_is_no_json_or_half_of_it_is_gone_through_too(text: str) -> None:
    placeholders = Placeholders()
    assert MAIL not in Masking(text, ALL, placeholders).run()


def test_a_message_shows_no_name_that_may_be_a_secret() -> None:
    _, _, masking = mask({"metadata": {"sk-proj-abcdefghijk1234567890": MAIL}})
    assert {sighting.field for sighting in masking.sightings} == {"metadata"}


leaves = st.one_of(
    st.sampled_from([MAIL, CARD, int(CARD), "a", "[EMAIL_1]", "joe@", 'x" \\ é 😀', None, 1.5]),
    st.text(max_size=12),
)
values = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.text("abtext@.", max_size=5), inner, max_size=4),
        inner.map(json.dumps),
        st.lists(inner.map(lambda v: {"type": "text", "text": str(v)}), max_size=4),
    ),
    max_leaves=20,
)


@given(values, st.booleans())
@settings(max_examples=300, deadline=None)
def test_masked_json_is_json_without_what_was_found_and_comes_back(body: Any, ascii_: bool) -> None:
    text = json.dumps(body, ensure_ascii=ascii_)
    if any("\ud800" <= sign <= "\udfff" for sign in text):
        return
    placeholders = Placeholders()
    masked = Masking(text, ALL, placeholders).run()
    json.loads(masked)
    for value in placeholders.values.values():
        assert value not in json.dumps(json.loads(masked), ensure_ascii=False)
    if not placeholders.values:
        assert masked == text
        return
    back = Restoring(placeholders.values).restore_json(masked.encode())
    json.loads(back)
    for placeholder in placeholders.values:
        assert placeholder.encode() not in back


@given(values, st.integers())
@settings(max_examples=200, deadline=None)
def test_how_json_is_written_changes_nothing(body: Any, seed: int) -> None:
    body = {"input": body, "messages": parts("joe@", "x.example")["messages"]}
    if any("\ud800" <= sign <= "\udfff" for sign in json.dumps(body, ensure_ascii=False)):
        return
    _, values, masking = mask(body)
    _, found, other = mask(Speaker(seed).spelled(body))
    assert sorted(values.values()) == sorted(found.values())
    assert masking.has_tokens == other.has_tokens


def test_the_work_grows_with_the_body_alone() -> None:
    def work(size: int) -> int:
        bodies = [
            json.dumps(parts(*["a@x.example b@", "y.example"] * size)),
            json.dumps([[{"text": MAIL}, {"text": "a"}]] * size),
            json.dumps({"a": [MAIL] * size}),
            "[" * size * 10,
            '"' * size * 10,
            "\\" * size * 10,
            json.dumps([f"a{n}@x.example" for n in range(size)]),
        ]
        return sum(
            count_steps(lambda body=body: Masking(body, ALL, Placeholders()).run())  # type: ignore[misc]
            for body in bodies
        )

    assert work(400) <= 2.3 * work(200)

"""Same meaning, same key; different meaning, different key."""

import json
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.cache.key import LONG, KeyParts, cache_key, named_key
from proxy.dialects import native, openai
from tests.unit.cache.requests import ALIKE, SHARED, VALID, Request, Speaker, pairs

PARSE = {"openai": openai.parse_chat, "native": native.parse_chat}
HOLDS: dict[str, Any] = {
    "question": ("model", "gemini/gemini-2.5-flash"),
    "defaults": {"temperature": 1, "top_p": 0.95},
    "scope": "tenant",
    "namespace": None,
}
USER = {"role": "user", "content": "hi"}


def key(body: bytes | Request, dialect: str = "openai", **holds: Any) -> str:
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    chat = PARSE[dialect](body).chat
    return cache_key(KeyParts(chat=chat, **(HOLDS | holds)))


def chat_of(**fields: Any) -> Request:
    return {"messages": [USER], **fields}


def tool(name: str = "f", **fields: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, **fields}}


FORMED = chat_of(
    tools=[tool(description="d")], stop="x", seed=7, temperature=0.5, response_format=None
)
FORM_TEXT = (
    b'[1,"chat","tenant",null,["model","gemini/gemini-2.5-flash"],'
    b'{"seed":7,"stop":["x"],"temperature":0.5},'
    b'[{"function":{"description":"d","name":"f"},"type":"function"}]]\n'
    b'{"content":"hi","role":"user"}'
)


class TestTheSame:
    @settings(deadline=None)
    @given(VALID, st.integers())
    def test_other_words_do_not_change_the_key(self, request: Request, seed: int) -> None:
        assert key(Speaker(seed).body(request, "openai")) == key(request)

    @settings(deadline=None)
    @given(SHARED, st.integers())
    def test_nor_does_another_dialect(self, request: Request, seed: int) -> None:
        assert key(Speaker(seed).body(request, "native"), "native") == key(request)

    def test_the_three_ways_to_give_a_prompt(self) -> None:
        explicit = {"system": "Be brief.", "prompt": "hi"}
        messages = {"messages": [{"role": "system", "content": "Be brief."}, USER]}
        assert key(explicit, "native") == key(messages)
        assert key({"system": "Be brief.", "messages": [USER]}, "native") == key(messages)
        assert key({"prompt": "hi"}, "native") == key({"messages": [USER]})

    def test_a_tool_choice_that_holds_anyway(self) -> None:
        assert key(chat_of(tool_choice="none")) == key(chat_of())
        assert key(chat_of(tools=[tool()], tool_choice="auto")) == key(chat_of(tools=[tool()]))
        assert key(chat_of(tools=[tool()], tool_choice="none")) != key(chat_of(tools=[tool()]))

    @pytest.mark.parametrize("choice", ["auto", "none", None])
    def test_choices_without_tools_say_nothing(self, choice: str | None) -> None:
        for tools in (list[object](), None):
            explicit = chat_of(tools=tools, tool_choice=choice, parallel_tool_calls=False)
            assert key(explicit) == key(chat_of())

    def test_nulls_in_a_custom_tool_say_nothing(self) -> None:
        bare = {"type": "custom", "custom": {"name": "sh"}}
        explicit = {"type": "custom", "custom": {"name": "sh", "format": None}}
        assert (
            key(chat_of(tools=[explicit]))
            == key(chat_of(tools=[bare]))
            != key(chat_of(tools=[tool("sh")]))
        )

    def test_defaults_are_those_that_hold_for_the_question(self) -> None:
        assert key(chat_of(temperature=1), defaults={}) != key(chat_of(), defaults={})
        assert key(chat_of(temperature=1.0), defaults={"temperature": 1}) == key(chat_of())
        assert key(chat_of(service_tier="auto"), defaults={"service_tier": "auto"}) == key(
            chat_of()
        )
        nested = {"thinking": {"type": "on", "budget": 5.0}}
        explicit = chat_of(thinking={"budget": 5, "type": "on"})
        assert key(explicit, defaults=nested) == key(chat_of())
        assert key(chat_of(x=True), defaults={"x": 1}) != key(chat_of(), defaults={"x": 1})

    def test_a_schema_without_a_name(self) -> None:
        wanted = {"type": "json_schema", "json_schema": {"schema": {}}}
        named = {"type": "json_schema", "json_schema": {"schema": {}, "name": "answer"}}
        assert key(chat_of(response_format=wanted)) == key(chat_of(response_format=named))
        assert key(chat_of(responseFormat=wanted), "native") == key(chat_of(response_format=named))


class TestAnother:
    @settings(deadline=None)
    @given(pairs())
    def test_any_change_changes_the_key(self, pair: tuple[Request, Request]) -> None:
        request, other = pair
        assert key(request) != key(other)

    @settings(deadline=None)
    @given(ALIKE, ALIKE)
    def test_what_looks_alike_has_the_same_key_only_if_it_is_the_same(
        self, first: Request, other: Request
    ) -> None:
        assert (key(first) == key(other)) == (first == other)

    @pytest.mark.parametrize(
        ("first", "other"),
        [
            (chat_of(stop=["ab", "c"]), chat_of(stop=["a", "bc"])),
            (chat_of(stop=["a", "b"]), chat_of(stop=["b", "a"])),
            (chat_of(seed=1), chat_of(seed=2)),
            (chat_of(tools=[tool("f"), tool("g")]), chat_of(tools=[tool("g"), tool("f")])),
            (chat_of(tools=[tool(description="a")]), chat_of(tools=[tool(description="b")])),
            (chat_of(x=1), chat_of(x=True)),
            (chat_of(x=1), chat_of(x="1")),
            (chat_of(x=[]), chat_of(x={})),
            (chat_of(x=None, y=1), chat_of(y=2)),
            (chat_of(response_format={"type": "json_object"}), chat_of()),
            (chat_of(tools=[tool()], tool_choice="required"), chat_of(tools=[tool()])),
            (
                chat_of(tools=[tool("f"), tool("g")], tool_choice=tool("f")),
                chat_of(tools=[tool("f"), tool("g")], tool_choice=tool("g")),
            ),
            (
                chat_of(tools=[tool()], tool_choice={"type": "allowed_tools", "mode": "auto"}),
                chat_of(tools=[tool()]),
            ),
        ],
    )
    def test_near_misses(self, first: Request, other: Request) -> None:
        assert key(first) != key(other)

    @pytest.mark.parametrize(
        ("first", "other"),
        [
            ([USER, USER], [USER]),
            ([{"role": "user", "content": "hi"}], [{"role": "system", "content": "hi"}]),
            ([{"role": "developer", "content": "hi"}], [{"role": "system", "content": "hi"}]),
            ([{"role": "user", "content": "a\n"}], [{"role": "user", "content": "a"}]),
            # One letter in two codings of Unicode.
            ([{"role": "user", "content": "\u00e9"}], [{"role": "user", "content": "e\u0301"}]),
        ],
    )
    def test_near_misses_of_messages(self, first: list[Any], other: list[Any]) -> None:
        assert key({"messages": first}) != key({"messages": other})

    @pytest.mark.parametrize(
        "contents",
        [
            (["a", "b"], ["a", "c"], ["a"], "ab", []),
            ([{"type": "text", "text": "a", "cache_control": {}}], "a"),
            ([{"type": "x", "text": "a"}], "a"),
            ([{"type": "text", "text": "a", "x": 1}], [{"type": "text", "text": "a", "x": 2}]),
        ],
    )
    def test_near_misses_of_contents(self, contents: list[Any]) -> None:
        def message(content: Any) -> Request:
            if isinstance(content, list):
                content = [
                    {"type": "text", "text": part} if isinstance(part, str) else part
                    for part in content
                ]
            return {"messages": [USER, {"role": "user", "content": content}]}

        assert len({key(message(content)) for content in contents}) == len(contents)

    def test_one_bit_of_an_image(self) -> None:
        def image(data: str) -> Request:
            url = f"data:image/png;base64,{data}"
            part = {"type": "image_url", "image_url": {"url": url}}
            return {"messages": [{"role": "user", "content": [part]}]}

        assert key(image("QUJD" * 5000)) != key(image("QUJD" * 4999 + "QUJE"))

    def test_a_schema_beside_json_object(self) -> None:
        """llama.cpp takes one there; it goes on in a body that nothing has to be changed in."""
        plain = {"type": "json_object"}
        first, other = ({**plain, "schema": {"type": kind}} for kind in ("object", "array"))
        keys = {key(chat_of(response_format=wanted)) for wanted in (plain, first, other)}
        assert len(keys) == 3

    @pytest.mark.parametrize(
        "request_",
        [
            {"messages": [{**USER, "x": ["HERE"]}]},
            {"messages": [{"role": "user", "content": [{"type": "x", "x": ["HERE"]}]}]},
            {"messages": [USER], "tools": [{"type": "x", "x": ["HERE"]}]},
        ],
    )
    def test_numbers_that_decoders_stumble_over_stay_apart(self, request_: Request) -> None:
        text = json.dumps(request_)
        numbers = ["1e999", "1e998", "-1e999", "0", "-0.0", "null", "9" * 5000, "8" * 5000, '"0"']
        numbers += ["18446744073709551616", "18446744073709551617", '"1e999"']
        keys = {key(text.replace('"HERE"', number).encode()) for number in numbers}
        assert len(keys) == len(numbers)

    def test_question_scope_and_namespace(self) -> None:
        holds: list[dict[str, Any]] = [
            {},
            {"question": ("model", "gemini/gemini-2.5-pro")},
            {"question": ("tier", "auto", "priority", "gemini/a", "groq/b")},
            {"question": ("tier", "auto", "priority", "groq/b", "gemini/a")},
            {"question": ("tier", "auto", "priority", "gemini/agroq/b")},
            {"question": ()},
            {"scope": "another"},
            {"scope": ""},
            {"namespace": ""},
            {"namespace": "tenant", "scope": ""},
            {"namespace": "null"},
        ]
        assert len({key(chat_of(), **held) for held in holds}) == len(holds)


class TestNamed:
    def test_a_name_is_a_key_within_its_scope_and_namespace(self) -> None:
        assert named_key("a", "s", None) == named_key("a", "s", None)
        others = [
            named_key("a", "s", None),
            named_key("b", "s", None),
            named_key("a", "t", None),
            named_key("a", "s", "n"),
            named_key("a", "", "s"),
            named_key("s", "a", None),
            named_key("", "as", None),
        ]
        assert len(set(others)) == len(others)
        assert all(len(each) == 64 for each in others)

    def test_no_name_is_the_key_of_a_request(self) -> None:
        assert key(FORMED) == sha256(FORM_TEXT).hexdigest()
        for name in (FORM_TEXT.decode(), key(FORMED)):
            assert named_key(name, "tenant", None) != key(FORMED)
            assert named_key(name, "", None) != key(FORMED)


def test_the_form_has_not_changed() -> None:
    """If this fails raise FORM: keys of the old form are in people's stores."""
    assert key(FORMED) == sha256(FORM_TEXT).hexdigest()


def test_the_key_tells_nothing_of_the_prompt() -> None:
    secret = {"messages": [{"role": "user", "content": "a secret"}]}
    assert set(key(secret)) <= set("0123456789abcdef")
    assert len(key(secret)) == 64


class TestLongTexts:
    """A long text is part of the key by its digest."""

    LENGTHS = (LONG // 6 - 5, LONG - 100, LONG - 1, LONG, LONG + 1, 3 * LONG, 12 * LONG)

    @pytest.mark.parametrize("letter", ["a", "é", "\n", '"', "\U0001f600"])
    @pytest.mark.parametrize("length", LENGTHS)
    def test_however_it_is_spelled(self, letter: str, length: int) -> None:
        text = "x" + letter * length
        part = {"type": "text", "text": text, "cache_control": {"note": text}}
        request = chat_of(messages=[{"role": "user", "content": [part]}], unknown=[text])
        bodies = [json.dumps(request, ensure_ascii=escaped, indent=2) for escaped in (True, False)]
        assert len({key(body.encode()) for body in bodies}) == 1
        explicit = {"messages": [{"role": "user", "content": text}]}
        assert (
            key({"prompt": text}, "native") == key(explicit) == key(json.dumps(explicit).encode())
        )

    @pytest.mark.parametrize("place", ["text", "url", "tool", "unknown", "arguments"])
    def test_its_last_letter_counts(self, place: str) -> None:
        def request(last: str) -> Request:
            text = "a" * (2 * LONG) + last
            url = f"data:image/png;base64,{text if place == 'url' else 'aaaa'}"
            parts = [
                {"type": "text", "text": text if place == "text" else "hi"},
                {"type": "image_url", "image_url": {"url": url}},
            ]
            call = {"name": "f", "arguments": text if place == "arguments" else "{}"}
            messages = [
                {"role": "user", "content": parts},
                {"role": "assistant", "tool_calls": [{"id": "1", "function": call}]},
                {"role": "tool", "tool_call_id": "1", "content": "ok"},
            ]
            described = tool(description=text if place == "tool" else "")
            return chat_of(messages=messages, tools=[described], unknown={"a": [text, place]})

        assert key(request("b")) == key(request("b")) != key(request("c"))

    def test_no_text_has_the_key_of_a_digest(self) -> None:
        text = "a" * (2 * LONG)
        digest = sha256(text.encode()).hexdigest()
        keys = {
            key(chat_of(messages=[{"role": "user", "content": c}])) for c in (text, f"#{digest}")
        }
        assert len(keys) == 2

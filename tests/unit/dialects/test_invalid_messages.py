"""What is wrong with messages, their parts and images."""

import json
from typing import Any

import pytest

from proxy.dialects import native
from proxy.dialects.messages import IMAGE_BYTES
from tests.unit.dialects.making_invalid import CHAT, NATIVE, PNG, USER, Parse, refused

MESSAGES: list[tuple[Any, str, str]] = [
    ([], "messages", "Expected array of length >= 1"),
    ([USER] * 2049, "messages", "Expected array of length <= 2048"),
    ([{}], "messages[0].role", "Missing"),
    ([USER, "hi"], "messages[1]", "Expected object, got str"),
    ([{"role": "robot", "content": "x"}], "messages[0].role", "Invalid enum value 'robot'"),
    ([{"role": "user"}], "messages[0].content", "Missing"),
    ([{"role": "user", "content": None}], "messages[0].content", "Missing"),
    (
        [{"role": "user", "content": 1}],
        "messages[0].content",
        "Expected str | array | null, got int",
    ),
    ([{"role": "user", "content": ""}, {"role": "assistant"}], "messages", "All are empty"),
    (
        [USER, {"role": "tool", "content": "x"}],
        "messages[1].tool_call_id",
        "Missing; it says which tool call this message answers",
    ),
    (
        [{"role": "assistant", "tool_calls": [{"id": "a", "function": {"arguments": "{}"}}]}],
        "messages[0].tool_calls[0].function.name",
        "Missing",
    ),
    (
        [{"role": "assistant", "tool_calls": [{"id": "a", "type": "custom"}]}],
        "messages[0].tool_calls[0].custom",
        "Missing",
    ),
    (
        [{"role": "assistant", "tool_calls": [{"id": "a", "custom": {"name": "f"}}]}],
        "messages[0].tool_calls[0].custom.input",
        "Missing",
    ),
]
PARTS: list[tuple[Any, str, str]] = [
    ({"text": "x"}, ".type", "Missing"),
    ({"type": "text"}, ".text", "Missing"),
    ({"type": "image_url"}, ".image_url", "Missing"),
    ({"type": "image_url", "image_url": 1}, ".image_url", "Expected object | null, got int"),
    ({"type": "image_url", "image_url": {}}, ".image_url.url", "Missing"),
]
BAD_URLS = [
    "http://a.test/x.png",
    "HTTPS://a.test/x.png",
    "https://",
    "https:///etc/passwd",
    "https://a.test/x y",
    "https://a.test/x\r\nhost: b",
    "https://a.test/" + "x" * 9000,
    "file:///etc/passwd",
    "javascript:alert(1)",
    "//a.test/x.png",
    "",
    "data:text/html;base64,aGkhaGkh",
    "data:image/png,rawbytes",
    "data:image/png;base64,",
    "data:image/png;base64,aGk",
    "data:image/png" + ";a" * 500_000 + ";base64,iVBORw0KGgo=",
    "data:image/png;base64,<svg onload=x>",
]


@pytest.mark.parametrize("parse", [NATIVE, CHAT])
@pytest.mark.parametrize(("messages", "param", "reason"), MESSAGES)
def test_wrong_messages(parse: Parse, messages: Any, param: str, reason: str) -> None:
    error = refused(parse, {"messages": messages})
    assert (error.message, error.param) == (f"{param}: {reason}", param)


@pytest.mark.parametrize("parse", [NATIVE, CHAT])
@pytest.mark.parametrize(("part", "below", "reason"), PARTS)
def test_wrong_parts(parse: Parse, part: Any, below: str, reason: str) -> None:
    content = [{"type": "text", "text": "What is this?"}, part]
    error = refused(parse, {"messages": [USER, {"role": "user", "content": content}]})
    param = f"messages[1].content[1]{below}"
    assert (error.message, error.param) == (f"{param}: {reason}", param)


@pytest.mark.parametrize("url", BAD_URLS)
def test_wrong_image_urls(url: str) -> None:
    content = [{"type": "image_url", "image_url": {"url": url}}]
    error = refused(NATIVE, {"messages": [{"role": "user", "content": content}]})
    assert error.param == "messages[0].content[0].image_url.url"
    assert error.message == (
        "messages[0].content[0].image_url.url:"
        " Expected an https:// URL or data:image/…;base64,… with data"
    )


@pytest.mark.parametrize(
    "url",
    [
        PNG,
        "data:image/svg+xml;charset=utf-8;base64,PHN2Zz4=",
        "https://a.test/x.png?size=1#top",
        "https://a.test",
    ],
)
def test_right_image_urls(url: str) -> None:
    content = [{"type": "image_url", "image_url": {"url": url, "detail": "low"}}]
    call = native.parse_chat(
        json.dumps({"messages": [{"role": "user", "content": content}]}).encode()
    )
    assert call.chat.messages[0].parts[0].image_url is not None
    assert call.chat.messages[0].parts[0].image_url.url == url
    assert call.chat.wants_vision


def test_images_are_counted_together() -> None:
    half = "data:image/png;base64," + "A" * (IMAGE_BYTES // 2 * 4 // 3)
    image = {"type": "image_url", "image_url": {"url": half}}
    turn = {"role": "user", "content": [image]}
    native.parse_chat(json.dumps({"messages": [turn, turn]}).encode())
    error = refused(
        NATIVE,
        {
            "messages": [
                turn,
                turn,
                {"role": "user", "content": [{"type": "image_url", "image_url": {"url": PNG}}]},
            ]
        },
    )
    assert error.message == (
        "messages[2].content[0].image_url.url: The images are over 20 MB together"
    )


def test_messages_are_needed() -> None:
    assert refused(CHAT, {"model": "gpt-4o"}).message == "messages: Missing"

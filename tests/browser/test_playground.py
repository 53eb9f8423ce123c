"""The playground in a headless Chromium, in front of canned answers."""

import json
import struct
import subprocess
from base64 import b64encode
from typing import Any
from zlib import compress, crc32

from tests.browser import office, standin
from tests.browser.chromium import browse
from tests.browser.standin import USER, StandIn
from tools.layout import NODE_MODULES


def test_a_conversation() -> None:
    prompt = 'What\'s "this"?\n$HOME `id` \\ é 日本'
    with StandIn() as server:
        told = browse("playground", server.url, key=USER, prompt=prompt)
        first, second = server.asked
    assert told["answer"].startswith("Paris is the capital of France.")
    for part in ("groq", "25 in, 17 out", "$0.000021 computed", "unavailable 503"):
        assert part in told["receipt"]
    _check_code(told["code"], prompt)
    assert first == {"prompt": prompt, "stream": True}
    answered = {"role": "assistant", "content": f"{standin.TEXT} "}
    said = [{"role": "user", "content": text} for text in (prompt, "And then?")]
    assert second["messages"] == [said[0], answered, said[1]]
    assert "And then?" in told["next"]


def _check_code(code: dict[str, str], prompt: str) -> None:
    """Each says what was asked, whatever stands in the prompt."""
    compile(code["Python"], "sdk.py", "exec")
    sent = _as_the_shell_reads(code["curl"])
    assert sent["body"] == {"prompt": prompt, "stream": True}
    assert "authorization: Bearer $PROXY_KEY" in sent["arguments"]
    assert json.dumps(prompt, ensure_ascii=False) in code["Python"]
    check = [str(NODE_MODULES / ".bin" / "node"), "--input-type=module", "--check"]
    subprocess.run(check, input=code["JavaScript"], text=True, check=True, timeout=20)


def _as_the_shell_reads(command: str) -> dict[str, Any]:
    spy = "curl() { printf '%s\\0' \"$@\"; }; PROXY_KEY='$PROXY_KEY'\n"
    output = subprocess.run(
        ["sh", "-c", spy + command], capture_output=True, text=True, check=True, timeout=20
    ).stdout
    arguments = output.split("\0")[:-1]
    return {"arguments": arguments, "body": json.loads(arguments[arguments.index("-d") + 1])}


def test_a_stream_that_breaks_or_is_stopped() -> None:
    times = {"break": 0}

    def generate(body: dict[str, Any]) -> Any:
        delta = ("delta", {"text": "Half an answer"})
        if body["prompt"] == "refuse":
            return standin.refusal(429, "rate_limit_exceeded", "Too many requests.")
        if body["prompt"] == "stall":
            return [delta] * 400
        times["break"] += 1
        if times["break"] > 1:
            return standin.generate(body)
        error = standin.refusal(502, "provider_error", "The stream broke.")[1]
        return [delta, ("error", error)]

    def of_the_last(body: dict[str, Any]) -> Any:
        last = body.get("messages", [{"content": body.get("prompt")}])[-1]["content"]
        return generate(body | {"prompt": last})

    with StandIn(open_=True, answers={"/v1/generate": of_the_last}) as server:
        browse("breaking", server.url)
        for body in server.asked[2:]:
            said = [m["content"] for m in body["messages"] if m["role"] == "user"]
            assert said[0] == "break", "what has failed is no part of the conversation"
            assert "refuse" not in said[:-1]


def test_a_tool_that_is_called() -> None:
    call: dict[str, Any] = {"id": "call_1", "type": "function"}
    call |= {"function": {"name": "weather", "arguments": '{"city": "Paris"}'}}

    def generate(body: dict[str, Any]) -> Any:
        done = dict(standin.generate(body)[-1:])["done"]
        if "messages" in body:
            return [("delta", {"text": "It is 21 degrees."}), ("done", done)]
        pieces = [{"index": 0, "id": "call_1", "name": "weather"}]
        pieces += [{"index": 0, "arguments": part} for part in ('{"city"', ': "Paris"}')]
        calls = {"toolCalls": [call], "extra": {"extra_content": {"sealed": "x"}}}
        return [*(("delta", {"toolCall": piece}) for piece in pieces), ("done", done | calls)]

    with StandIn(open_=True, answers={"/v1/generate": generate}) as server:
        browse("tools", server.url)
        first, second = server.asked
    assert first["tools"][0]["function"] == {"name": "weather"}
    question, answer, result = second["messages"]
    assert question == {"role": "user", "content": "What is the weather?"}
    assert answer == {"role": "assistant", "content": None, "tool_calls": [call]} | {
        "extra_content": {"sealed": "x"}
    }
    assert result == {"role": "tool", "tool_call_id": "call_1", "content": '{"degrees": 21}'}


def test_images_go_along() -> None:
    with StandIn(open_=True) as server:
        browse("images", server.url, picture=b64encode(_picture(320, 180)).decode())
        [body] = server.asked
    text, image = body["messages"][0]["content"]
    assert text == {"type": "text", "text": "What is this?"}
    assert image["image_url"]["url"].startswith("data:image/png;base64,iVBOR")


def _picture(width: int, height: int) -> bytes:
    """A PNG that fades from one colour to another (RFC 2083)."""
    rows = b"".join(
        b"\0" + bytes(c for x in range(width) for c in (x * 255 // width, 90, y * 255 // height))
        for y in range(height)
    )

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", crc32(kind + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", compress(rows)) + chunk(b"IEND", b"")


def test_three_models_side_by_side() -> None:
    def generate(body: dict[str, Any]) -> Any:
        return [("delta", {"text": f"I am {body['model']}"}), standin.generate(body)[-1]]

    answers = office.answers() | {"/v1/generate": generate}
    with StandIn(open_=True, answers=answers) as server:
        browse("comparing", server.url)
        asked = {(body["model"], body["prompt"]) for body in server.asked}
    models = ("support", "groq/fast", "openai/slow")
    assert asked == {(model, "Who are you?") for model in models}

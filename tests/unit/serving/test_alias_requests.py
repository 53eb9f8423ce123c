"""Requests of every dialect under any alias: an alias without parameters changes no byte, and one
with parameters makes of a request what its caller would have made of it."""

import asyncio
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.core.chat import ChatRequest, Wire
from proxy.core.preset import Parameters, Preset
from proxy.dialects.preset import put_preset
from proxy.providers.registry import ADAPTERS
from tests.unit.serving.aliased import CLAUDE, GPT, LLAMA, MESSAGES, RESPONSES, Aliased
from tests.unit.serving.conversations import Conversation, conversations
from tests.unit.serving.making import OPENAI
from tests.unit.serving.test_fidelity_requests import PARSE, WRITE, fit, make_target

WIRES: tuple[Wire, ...] = ("chat", "messages", "responses")
PATHS: dict[Wire, str] = {"chat": OPENAI, "messages": MESSAGES, "responses": RESPONSES}
PAIRS = [(caller, wire) for caller in WIRES for wire in WIRES]
_SYSTEM: dict[Wire, str] = {"messages": "system", "responses": "instructions"}
_LIMITS: dict[Wire, str] = {"responses": "max_output_tokens"}
presets = st.builds(
    Parameters,
    temperature=st.none() | st.sampled_from([0.0, 0.25, 1.0]),
    top_p=st.none() | st.sampled_from([0.1, 1.0]),
    max_tokens=st.none() | st.integers(2000, 4000),
)


def write_by_hand(caller: Wire, body: dict[str, Any], fixed: Parameters, words: str) -> Any:
    """The body as a caller would have written it that wants what the alias wants."""
    named = {
        "temperature": fixed.temperature,
        "top_p": fixed.top_p,
        _LIMITS.get(caller, "max_tokens"): fixed.max_tokens,
    }
    body = body | {name: value for name, value in named.items() if value is not None}
    if not words:
        return body
    if caller in _SYSTEM:
        own = body.get(_SYSTEM[caller])
        if isinstance(own, list):
            joined: Any = [{"type": "text", "text": words}, *own]
        else:
            joined = f"{words}\n\n{own}" if own else words
        return body | {_SYSTEM[caller]: joined}
    first, *others = body["messages"]
    if first["role"] != "system":
        return body | {"messages": [{"role": "system", "content": words}, first, *others]}
    joined = f"{words}\n\n{first['content']}"
    return body | {"messages": [first | {"content": joined}, *others]}


def build(wire: Wire, chat: ChatRequest) -> Any:
    """What a provider gets."""
    body = ADAPTERS[wire].build_request(make_target(wire), chat).body
    return json.loads(body if isinstance(body, bytes) else b"".join(map(bytes, body or ())))


@pytest.mark.parametrize(("caller", "wire"), PAIRS)
@given(held=conversations, fixed=presets, words=st.sampled_from(["", "Be brief."]))
def test_an_alias_says_what_its_caller_might_have_said(
    caller: Wire, wire: Wire, held: Conversation, fixed: Parameters, words: str
) -> None:
    body = WRITE[caller](fit(held, caller, wire))
    preset = Preset(fixed=fixed, system=words)
    call = put_preset(PARSE[caller](json.dumps(body).encode()), preset)
    by_hand = PARSE[caller](json.dumps(write_by_hand(caller, body, fixed, words)).encode())
    assert build(wire, call.chat) == build(wire, by_hand.chat)


@pytest.mark.parametrize("caller", WIRES)
@given(held=conversations)
@settings(max_examples=15)
def test_an_alias_without_parameters_changes_no_byte(caller: Wire, held: Conversation) -> None:
    kept = {"store": False} if caller == "responses" else {}
    body = WRITE[caller](fit(held, *WIRES)) | kept

    async def ask() -> None:
        house = Aliased()
        for target in (GPT, LLAMA, CLAUDE):
            await house.make("support", target, fallback=True)
            statuses, sent = [], []
            for model in (target, "support"):
                house.upstream.sent.clear()
                statuses.append((await house.ask(PATHS[caller], model, **body)).status)
                sent.append([(outgoing.url, outgoing.body) for outgoing in house.upstream.sent])
            assert statuses == [200, 200]
            assert sent[0] == sent[1]

    asyncio.run(ask())

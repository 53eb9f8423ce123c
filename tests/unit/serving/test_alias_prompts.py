"""An alias's system prompt is its operator's: providers get it, and no answer repeats it, though
those of Responses repeat what they were told."""

import json
from typing import Any

import pytest

from proxy.core.ports import Outgoing
from tests.unit.doubles import FakeReply
from tests.unit.providers.making_responses import events, response, says
from tests.unit.routing.making import EVENTS
from tests.unit.serving.aliased import GPT, RESPONSES, Aliased
from tests.unit.serving.limited import KEYED

PROMPT = "Words of the operator's"


def repeat(outgoing: Outgoing) -> FakeReply:
    """OpenAI, whose response repeats the instructions that it was given."""
    body = outgoing.body
    assert isinstance(body, bytes)
    sent = json.loads(body)
    told, said = {"instructions": sent.get("instructions")}, says("Hi!")
    if not sent.get("stream"):
        return FakeReply(json.dumps(response(said, **told)).encode())
    return FakeReply(*events(said, **told), headers=EVENTS)


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("mode", ["prepend", "replace"])
@pytest.mark.parametrize("own", [None, "Be brief."])
@pytest.mark.parametrize("cached", [False, True])
async def test_no_answer_repeats_an_alias_s_prompt(
    own: str | None, mode: str, streamed: bool, cached: bool
) -> None:
    house = Aliased(repeat, CACHE_TTL="60" if cached else "0")
    await house.make("support", GPT, system=PROMPT, systemMode=mode)
    said: dict[str, Any] = {"instructions": own} if own else {}
    for _ in range(2):
        got = await house.ask(RESPONSES, stream=streamed, store=True, **said)
        assert got.status == 200
        assert PROMPT in house.last["instructions"]
        assert PROMPT.encode() not in got.body
        assert b"Hi!" in got.body
    whole = got.events[-1]["response"] if streamed else got.json
    assert whole["instructions"] == own
    kept = await house.fetch("GET", f"{RESPONSES}/{whole['id']}", None, **KEYED)
    assert kept.status == 200
    assert kept.json["instructions"] == own


async def test_an_entry_of_an_alias_does_not_show_its_prompt_either() -> None:
    house = Aliased(repeat, CACHE_TTL="60")
    await house.make("support", GPT, system=PROMPT)
    first = await house.ask(RESPONSES, GPT, instructions=PROMPT)
    again = await house.ask(RESPONSES)
    assert (first.json["instructions"], again.json["instructions"]) == (PROMPT, None)
    assert again.cache == "HIT"

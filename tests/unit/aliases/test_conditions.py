"""Which requests a target is meant for."""

import pytest

from proxy.aliases.conditions import Circumstances, admits_caller, explain_refusal
from proxy.aliases.model import Range, When

FOUND = Circumstances(
    key_id="key_1",
    user="team-a",
    metadata={"plan": "pro"},
    needs=frozenset({"tools", "reasoning"}),
    count_tokens=lambda: 100,
)
HOLDS = [
    None,
    When(),
    When(keys=("key_0", "key_1")),
    When(users=("ann", "team-*")),
    When(metadata={"plan": "pro"}),
    When(metadata={"plan": ("free", "pro")}),
    When(needs=("tools",)),
    When(needs=("tools", "reasoning")),
    When(prompt_tokens=Range(min=100)),
    When(prompt_tokens=Range(max=100)),
    When(prompt_tokens=Range()),
    When(keys=("key_1",), users=("team-a",), needs=("tools",), prompt_tokens=Range(min=1)),
]
FAILS = [
    (When(keys=("key_2",)), "other callers"),
    (When(users=("team",)), "other callers"),
    (When(users=("Team-*",)), "other callers"),
    (When(metadata={"plan": "free"}), "metadata.plan"),
    (When(metadata={"region": "eu"}), "metadata.region"),
    (When(needs=("vision", "tools")), "need vision"),
    (When(prompt_tokens=Range(min=101)), "from 101"),
    (When(prompt_tokens=Range(max=99)), "up to 99"),
    (When(keys=("key_1",), users=("ann",)), "other callers"),
]


@pytest.mark.parametrize("when", HOLDS)
def test_what_holds(when: When | None) -> None:
    assert explain_refusal(when, FOUND) is None


@pytest.mark.parametrize(("when", "words"), FAILS)
def test_what_does_not(when: When, words: str) -> None:
    assert words in (explain_refusal(when, FOUND) or "")


def test_a_caller_without_a_key_is_not_among_keys() -> None:
    assert not admits_caller(When(keys=("key_1",)), None, "default")


def test_a_prompt_is_counted_only_where_a_condition_is_about_it() -> None:
    def count() -> int:
        raise AssertionError("it was counted")

    found = Circumstances(key_id=None, user="ann", count_tokens=count)
    assert explain_refusal(When(users=("ann",)), found) is None

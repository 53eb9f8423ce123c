"""What tells conversations apart, and how many homes are known."""

from proxy.core.chat import ChatRequest
from proxy.core.messages import FunctionCall, Message, Part, ToolCall
from proxy.routing.affinity import MOST_HOMES, Conversation, Homes, list_owners


def user(text: str) -> Message:
    return Message("user", text)


def key(*messages: Message, session: str = "", whose: str = "ann") -> str:
    return Conversation(ChatRequest(messages=messages), session, whose).key


def test_what_makes_a_conversation_another() -> None:
    system = Message("system", "Be brief.")
    keys = [
        key(user("a")),
        key(user("b")),
        key(system, user("a")),
        key(user("a"), whose="bob"),
        key(user("a"), session="s"),
        key(user("a"), session="t"),
        key(user("a"), session="s", whose="bob"),
        key(Message("developer", "Be brief."), user("a")),
        key(),
    ]
    assert len(set(keys)) == len(keys)


def test_what_makes_it_no_other() -> None:
    assert key(user("a")) == key(user("a"), Message("assistant", "b"), user("c"))
    assert key(user("a")) == key(Message("user", (Part("text", text="a"),)))
    assert key(user("a"), session="s") == key(user("b"), session="s")
    long = "x" * 1_000_000
    assert key(user(long)) == key(user(long + "y"))
    assert key(user("\ud800"))


def test_homes_are_bounded_and_the_oldest_goes() -> None:
    homes = Homes()
    talks = [Conversation(ChatRequest(messages=()), f"{n}", "") for n in range(MOST_HOMES + 1)]
    for talk in talks[:-1]:
        homes.keep(talk, "auto", "groq", 0)
    homes.keep(talks[0], "auto", "openai", 1)
    homes.keep(talks[-1], "auto", "groq", 2)
    assert len(homes) == MOST_HOMES
    assert homes.find(talks[0], "auto", 3) == "openai"
    assert homes.find(talks[1], "auto", 3) == ""
    assert homes.find(talks[-1], "smart", 3) == ""


def test_whose_state_a_turn_carries() -> None:
    def said(**state: object) -> Message:
        return Message("assistant", "Hm.", extra_content=state)

    signed = ToolCall("c1", FunctionCall("f"), extra_content={"google": {"thought_signature": "x"}})
    called = Message("assistant", tool_calls=(signed,))
    plain = Message("assistant", tool_calls=(ToolCall("c2", FunctionCall("f")),))
    assert list_owners((user("a"), said(openai={}), user("b"), said(anthropic={}))) == (
        "anthropic",
        "openai",
    )
    assert list_owners((user("a"), called, plain)) == ("gemini",)
    assert list_owners((user("a"), plain)) == list_owners((user("a"),)) == ()

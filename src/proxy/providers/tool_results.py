"""The results of tools for providers that take texts alone there."""

from msgspec import structs

from proxy.core.chat import ChatRequest
from proxy.core.messages import Message, Part

_ELSEWHERE = Part("text", "The result follows in the next message.")


def move_images(chat: ChatRequest) -> ChatRequest:
    """The request with what its results hold beside texts in the user's message that follows, with
    a word about whose result it is of. A caller of chat completions has it as its body says."""
    if chat.raw_messages or all(_holds_texts(message) for message in chat.messages):
        return chat
    messages: list[Message] = []
    moved: list[Part] = []
    for message in chat.messages:
        if message.role == "tool":
            moved += _list_others(message)
            messages.append(message if _holds_texts(message) else _keep_texts(message))
            continue
        if moved and message.role == "user":
            messages.append(structs.replace(message, content=(*moved, *message.parts)))
        else:
            messages += [Message("user", tuple(moved)), message] if moved else [message]
        moved = []
    if moved:
        messages.append(Message("user", tuple(moved)))
    return structs.replace(chat, messages=tuple(messages))


def _holds_texts(message: Message) -> bool:
    return message.role != "tool" or all(part.type == "text" for part in message.parts)


def _list_others(message: Message) -> list[Part]:
    others = [part for part in message.parts if part.type != "text"]
    about = Part("text", f"This belongs to the result of {message.tool_call_id}:")
    return [about, *others] if others else []


def _keep_texts(message: Message) -> Message:
    texts = tuple(part for part in message.parts if part.type == "text") or (_ELSEWHERE,)
    is_plain = len(texts) == 1 and texts[0].cache_control is None
    return structs.replace(message, content=texts[0].text if is_plain else texts)

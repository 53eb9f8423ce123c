"""Builds requests for Gemini's generateContent from OpenAI's message form.

Nothing that Gemini needs on the next turn is lost: thought signatures go back onto the very part
they came with. What Gemini has no word for is named in `dropped`; what cannot be left out
(a part of a message) is refused.
"""

import re
from itertools import zip_longest
from typing import Any, Literal

from msgspec import Raw, Struct

from proxy.core import splice
from proxy.core.chat import ChatRequest
from proxy.core.errors import InvalidRequest, invalid
from proxy.core.json_guard import Decoder
from proxy.core.loose_json import as_object, as_text
from proxy.core.messages import NOTHING, ImageURL, Message, Part, Tool, ToolCall
from proxy.core.ports import Body
from proxy.core.splice import Piece, begins, find_large_texts
from proxy.providers.data_urls import read_data_url, split_image
from proxy.providers.garbage import UNREADABLE
from proxy.providers.gemini_schema import SchemaError, keep_known_words
from proxy.providers.target import Target

_NAMES = {
    "max_tokens": "maxOutputTokens",
    "temperature": "temperature",
    "top_p": "topP",
    "stop": "stopSequences",
    "seed": "seed",
    "frequency_penalty": "frequencyPenalty",
    "presence_penalty": "presencePenalty",
    "logprobs": "responseLogprobs",
    "top_logprobs": "logprobs",
}
"""Settings and what they are called in `generationConfig`."""
_ANY = Decoder(object)
_MODES = {"auto": "AUTO", "none": "NONE", "required": "ANY", "function": "ANY"}
_MODES_OF_SOME = {"auto": "VALIDATED", "required": "ANY"}
"""Where only some tools are allowed: AUTO takes no names, VALIDATED is AUTO with names."""
_AUDIO = {"mp3": "audio/mp3", "wav": "audio/wav"}
_USER_FIRST = {"role": "user", "parts": [{"text": " "}]}
"""Stands before a conversation that begins with the model's turn, which Gemini refuses."""
_LEVELS = {"none": "minimal", "xhigh": "high", "max": "high"}
_BUDGETS = {"none": 0, "minimal": 1024, "low": 1024, "medium": 8192}
"""Thinking tokens by effort, as Google's own OpenAI endpoint counts them."""
_MOST = 24576
_BUDGETED = re.compile(r"(models/)?(gemini-[12]|gemini-pro(-vision)?$|gemma)")
"""Models before Gemini 3: they take a budget of thinking tokens, later ones a level, and
later ones want the signature of each function call back."""
_NO_SIGNATURE = "skip_thought_signature_validator"
"""What Google documents for a call that another model made."""


def build_body(target: Target, chat: ChatRequest) -> tuple[Body, tuple[str, ...]]:
    """The body, and the caller's fields that were left out. Raises InvalidRequest."""
    model = target.model
    left_out = target.refused
    settings = chat.list_given((*_NAMES, "reasoning_effort"))
    dropped = [name for name in settings if name in left_out]
    if chat.parallel_tool_calls is False:
        dropped.append("parallel_tool_calls")
    kept = {name: value for name, value in settings.items() if name not in left_out}
    body: dict[str, Any] = {**model.send, **_build_conversation(target, chat)}
    if chat.tools:
        declared = [_declare(tool, f"tools[{n}]") for n, tool in enumerate(chat.tools)]
        body |= {"tools": [{"functionDeclarations": declared}]}
        body |= _build_tool_config(chat)
    if config := _build_config(target, chat, kept):
        body["generationConfig"] = {**body.get("generationConfig", {}), **config}
    extra = () if chat.dialect == "messages" else chat.extra  # there the dialect names them
    unknown = [name for name in extra if not (name == "tool_choice" and _read_allowed(chat))]
    return splice.encode(body), (*dropped, *unknown)


def _build_config(target: Target, chat: ChatRequest, kept: dict[str, Any]) -> dict[str, Any]:
    config = {_NAMES[name]: value for name, value in kept.items() if name in _NAMES}
    if effort := kept.get("reasoning_effort"):
        config["thinkingConfig"] = _build_thinking(target, effort)
    form = chat.response_format
    if form and form.type != "text":
        config["responseMimeType"] = "application/json"
        if form.json_schema and form.json_schema.schema_:
            place = "response_format.json_schema.schema"
            config["responseJsonSchema"] = _adapt_schema(form.json_schema.schema_, place)
    return config


def _build_thinking(target: Target, effort: str) -> dict[str, Any]:
    shown = {"includeThoughts": effort != "none"}
    effort = target.efforts.get(effort, effort)
    if _BUDGETED.match(target.model.wire_id):
        return shown | {"thinkingBudget": _BUDGETS.get(effort, _MOST)}
    return shown | {"thinkingLevel": _LEVELS.get(effort, effort)}


def _declare(tool: Tool, place: str) -> dict[str, Any]:
    function = tool.function
    if function is None:
        raise invalid(place, f"Gemini takes functions only, not a tool of type {tool.type!r}.")
    fields: dict[str, Any] = {"name": function.name, "description": function.description or ""}
    if function.parameters:
        schema = _adapt_schema(function.parameters, f"{place}.function.parameters")
        fields["parametersJsonSchema"] = schema
    return fields


def _adapt_schema(schema: dict[str, Any], place: str) -> Any:
    try:
        return keep_known_words(schema)
    except SchemaError as error:
        raise invalid(place, f"{error}.") from error


def _build_tool_config(chat: ChatRequest) -> dict[str, Any]:
    kind, _, name = (chat.tool_choice or "").partition(":")
    if allowed := _read_allowed(chat):
        config = {"mode": _MODES_OF_SOME[allowed.mode], "allowedFunctionNames": allowed.names}
    elif kind in _MODES:
        config = {"mode": _MODES[kind]} | ({"allowedFunctionNames": [name]} if name else {})
    else:
        return {}
    return {"toolConfig": {"functionCallingConfig": config}}


class _FunctionName(Struct):
    name: str


class _AllowedTool(Struct):
    function: _FunctionName


class _AllowedTools(Struct):
    """OpenAI's tool_choice of type `allowed_tools`: some of the tools."""

    mode: Literal["auto", "required"]
    tools: list[_AllowedTool]

    @property
    def names(self) -> list[str]:
        return [tool.function.name for tool in self.tools]


class _ToolChoice(Struct):
    allowed_tools: _AllowedTools


_TOOL_CHOICE = Decoder(_ToolChoice)


def _read_allowed(chat: ChatRequest) -> _AllowedTools | None:
    """The tools that a choice allows, None where it is of another form."""
    try:
        return _TOOL_CHOICE.decode(chat.extra["tool_choice"]).allowed_tools
    except (KeyError, *UNREADABLE):
        return None


def _build_conversation(target: Target, chat: ChatRequest) -> dict[str, Any]:
    """The turns, consecutive ones of one role as one: Gemini wants user and model in turn, and
    the results of parallel calls together, apart from what the user says after them."""
    system: list[dict[str, Any]] = []
    contents: list[dict[str, Any]] = []
    names: dict[str, str] = {}
    for number, (message, raw) in enumerate(zip_longest(chat.messages, chat.raw_messages)):
        place = f"messages[{number}]"
        if message.role in ("system", "developer"):
            system += _build_parts(message, raw, place)
            continue
        if message.role == "assistant":
            role, parts = "model", _build_model_parts(target, message, raw, place)
            names.update((call.id, call.function.name) for call in message.tool_calls or ())
        elif message.role == "tool":
            role, parts = "user", _build_results(message, names, place)
        else:
            role, parts = "user", _build_parts(message, raw, place)
        if not parts:
            continue
        before: dict[str, Any] = contents[-1] if contents else {"role": ""}
        if before["role"] == role and _holds_results(before["parts"]) == _holds_results(parts):
            before["parts"] += parts
        else:
            contents.append({"role": role, "parts": parts})
    if not contents:  # Gemini answers no instruction alone
        return {"contents": [{"role": "user", "parts": system}]}
    if contents[0]["role"] == "model":
        contents.insert(0, _USER_FIRST)
    return {"contents": contents} | ({"systemInstruction": {"parts": system}} if system else {})


def _holds_results(parts: list[dict[str, Any]]) -> bool:
    return "functionResponse" in parts[0]


def _build_parts(message: Message, raw: Raw | None, place: str) -> list[dict[str, Any]]:
    texts = find_large_texts(message, raw)
    return [
        _build_part(part, texts[number], f"{place}.content[{number}]")
        for number, part in enumerate(message.parts)
        if part.type != "text" or part.text
    ]


def _build_part(part: Part, large: memoryview | None, place: str) -> dict[str, Any]:
    """large: the JSON string of its text or URL, where that is not to be copied."""
    if part.type == "text":
        return {"text": part.text if large is None else Piece(large)}
    if part.type == "image_url" and part.image_url:
        return {"inlineData": _inline_image(part.image_url, large, f"{place}.image_url.url")}
    if part.type == "input_audio" and part.input_audio is not NOTHING:
        return {"inlineData": _inline_audio(part.input_audio, f"{place}.input_audio")}
    if part.type == "file" and part.file is not NOTHING:
        return {"inlineData": _inline_file(part.file, f"{place}.file")}
    raise invalid(place, f"Gemini takes no part of type {part.type!r}.")


class _InputAudio(Struct):
    data: Raw
    format: str


class _InputFile(Struct):
    file_data: Raw


_INPUT_AUDIO = Decoder(_InputAudio)
_FILE = Decoder(_InputFile)


def _inline_audio(raw: Raw, place: str) -> dict[str, Any]:
    try:
        audio = _INPUT_AUDIO.decode(raw)
        if begins(audio.data, b'"'):
            return {"mimeType": _AUDIO[audio.format], "data": Piece(audio.data)}
    except (KeyError, *UNREADABLE):
        pass
    formats = " or ".join(_AUDIO)
    raise invalid(place, f"Expected data in base64 and format {formats}.")


def _inline_file(raw: Raw, place: str) -> dict[str, Any]:
    reason = "Gemini takes a file by its file_data only, a base64 data URL."
    try:
        url = memoryview(_FILE.decode(raw).file_data)
    except UNREADABLE as error:
        raise invalid(place, reason) from error
    if data := read_data_url(url):
        return {"mimeType": data.media_type, "data": Piece(b'"', data.digits)}
    raise invalid(f"{place}.file_data", reason)


def _inline_image(image: ImageURL, url: memoryview | None, place: str) -> dict[str, Any]:
    found = split_image(image, url)
    if found is None:
        raise invalid(place, "Gemini takes images as base64 data URLs.")
    kind, data = found
    return {"mimeType": kind, "data": data}


def _build_model_parts(
    target: Target, message: Message, raw: Raw | None, place: str
) -> list[dict[str, Any]]:
    parts = _build_parts(message, raw, place)
    signature = _find_signature(message.extra_content)
    calls = [_build_call(call) for call in message.tool_calls or ()]
    if signature and not parts and not calls:
        parts = [{"text": ""}]
    if signature:
        (parts or calls)[-1 if parts else 0].setdefault("thoughtSignature", signature)
    unsigned = calls and not any("thoughtSignature" in call for call in calls)
    if unsigned and not _BUDGETED.match(target.model.wire_id):
        calls[0]["thoughtSignature"] = _NO_SIGNATURE
    return parts + calls


def _build_call(call: ToolCall) -> dict[str, Any]:
    call = call.as_function_call()
    arguments = _parse(call.function.arguments or "{}")
    args = arguments if isinstance(arguments, dict) else {"arguments": call.function.arguments}
    part = {"functionCall": {"id": call.id, "name": call.function.name, "args": args}}
    signature = _find_signature(call.extra_content)
    return part | ({"thoughtSignature": signature} if signature else {})


def _find_signature(extra: dict[str, Any] | None) -> str | None:
    """The thought signature, where Google's own OpenAI endpoint puts it too."""
    return as_text(as_object((extra or {}).get("google")).get("thought_signature"))


def _build_results(message: Message, names: dict[str, str], place: str) -> list[dict[str, Any]]:
    """A tool's result or failure; images in it follow as parts of their own."""
    id_ = message.tool_call_id or ""
    name = names.get(id_) or message.name
    if not name:
        place = f"{place}.tool_call_id"
        raise InvalidRequest(f"{place} names no call of an earlier message.", param=place)
    parts = _build_parts(message, None, place)
    text = "".join(part["text"] for part in parts if "text" in part)
    result = _parse(text)
    if _has_reference(result):  # Gemini would look for a part of that name
        result = text
    response = result if isinstance(result, dict) else {"result": result}
    if message.is_error:  # Gemini's own word for it
        response = {"error": result}
    others = (part for part in parts if "text" not in part)
    return [{"functionResponse": {"id": id_, "name": name, "response": response}}, *others]


def _has_reference(value: Any) -> bool:
    """Whether `$ref` names a field somewhere in a value (whose depth is bounded)."""
    if isinstance(value, dict):
        return "$ref" in value or any(map(_has_reference, value.values()))
    return isinstance(value, list) and any(map(_has_reference, value))


def _parse(text: str) -> Any:
    """What a text says as JSON; the text itself where it is none, or too deep to be read."""
    try:
        return _ANY.decode(text.encode(errors="surrogatepass"))
    except UNREADABLE:
        return text

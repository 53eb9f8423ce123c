"""What Gemini's native API refuses, as far as a proxy's mistakes could cause it."""

from collections.abc import Iterable
from typing import Any

from .reply import RejectedError, names
from .request import Json

BODY = names(
    "contents systemInstruction tools toolConfig safetySettings generationConfig cachedContent"
    " model labels"
)
CONFIG = names(
    "stopSequences responseMimeType responseSchema responseJsonSchema responseModalities"
    " candidateCount maxOutputTokens temperature topP topK seed presencePenalty frequencyPenalty"
    " responseLogprobs logprobs thinkingConfig mediaResolution speechConfig imageConfig"
)
PARTS = names(
    "text thought thoughtSignature inlineData fileData functionCall functionResponse"
    " executableCode codeExecutionResult videoMetadata"
)
SCHEMA = names(
    "type format title description nullable enum items maxItems minItems properties"
    " propertyOrdering required minProperties maxProperties minLength maxLength pattern example"
    " anyOf default minimum maximum"
)
SIGNATURE = "dXBzdHJlYW0tc2lnbmF0dXJl"
"""The thought signature that this upstream hands out; it must come back unchanged."""
NO_SIGNATURE = {"skip_thought_signature_validator", "context_engineering_is_the_way_to_go"}
"""What Google tells clients to send for a call that another model made."""


def unknown_fields(body: Json) -> list[str]:
    return sorted(name for name in body if _camel(name) not in BODY)


def check_generate(model: str, body: Any) -> None:
    """Raises RejectedError for the first thing that generateContent would not take."""
    if not isinstance(body, dict):
        raise RejectedError(400, "Invalid JSON payload received.")
    _known(body, BODY, "")
    config = body.get("generationConfig", {})
    _known(config, CONFIG, " at 'generation_config'")
    if "responseSchema" in config:
        _check_schema(config["responseSchema"], "generation_config.response_schema")
    contents = body.get("contents")
    if not isinstance(contents, list) or not contents:
        raise RejectedError(400, "* GenerateContentRequest.contents: contents is not specified")
    for index, content in enumerate(contents):
        _check_content(content, f"contents[{index}]")
    if contents[0]["role"] != "user":
        raise RejectedError(400, "Please ensure that multiturn requests begin with a user turn.")
    _check_turns(contents)
    if model.startswith("gemini-3"):
        _check_signatures(contents)
    _check_tools(body.get("tools", []))
    json_mode = config.get("responseMimeType") == "application/json"
    if json_mode and body.get("tools") and not model.startswith("gemini-3"):
        text = "Function calling with a response mime type: 'application/json' is unsupported"
        raise RejectedError(400, text)


def _camel(name: str) -> str:
    """Gemini takes snake_case for every name too."""
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def _known(given: Any, names: Iterable[str], where: str) -> None:
    if not isinstance(given, dict):
        raise RejectedError(400, f"Invalid value{where}: expected an object.")
    for name in given:
        if _camel(name) not in names:
            text = (
                f'Invalid JSON payload received. Unknown name "{name}"{where}: Cannot find field.'
            )
            raise RejectedError(400, text)


def _check_schema(schema: Any, where: str) -> None:
    """Schemas in Gemini's own form know few words; the ...JsonSchema fields take any schema."""
    _known(schema, SCHEMA, f" at '{where}'")
    for name, part in schema.get("properties", {}).items():
        _check_schema(part, f"{where}.properties[{name}]")
    if "items" in schema:
        _check_schema(schema["items"], f"{where}.items")


def _check_content(content: Any, where: str) -> None:
    _known(content, ("role", "parts"), f" at '{where}'")
    if content.get("role") not in ("user", "model"):
        raise RejectedError(400, "Please use a valid role: user, model.")
    if not content.get("parts"):
        raise RejectedError(
            400, f"* GenerateContentRequest.{where}.parts: contents.parts must not be empty."
        )
    for number, part in enumerate(content["parts"]):
        here = f"{where}.parts[{number}]"
        _known(part, PARTS, f" at '{here}'")
        if not part.keys() - {"thought", "thoughtSignature"}:
            text = (
                f"* GenerateContentRequest.{here}.data: required oneof field 'data' must have one"
                " initialized field"
            )
            raise RejectedError(400, text)
        for name, field in (("functionCall", "args"), ("functionResponse", "response")):
            if name in part and not isinstance(part[name].get(field, {}), dict):
                raise RejectedError(
                    400, f"Invalid value at '{here}.{name}.{field}': expected an object."
                )


def _check_turns(contents: list[Json]) -> None:
    """Responses follow the turn with the calls, one response for each call."""
    before = 0
    for content in contents:
        calls = sum("functionCall" in part for part in content["parts"])
        responses = sum("functionResponse" in part for part in content["parts"])
        if responses and any("text" in part for part in content["parts"]):
            raise RejectedError(400, "A turn of function responses must not contain text.")
        if responses and not before:
            text = (
                "Please ensure that function response turn comes immediately after a function"
                " call turn."
            )
            raise RejectedError(400, text)
        if before and responses != before:
            text = (
                "Please ensure that the number of function response parts is equal to the number"
                " of function call parts of the function call turn."
            )
            raise RejectedError(400, text)
        before = calls


def _check_signatures(contents: list[Json]) -> None:
    """The first call of each model turn carries the signature that the model gave it."""
    for content in contents:
        calls = [part for part in content["parts"] if "functionCall" in part]
        signature = calls[0].get("thoughtSignature") if calls else SIGNATURE
        if signature is None:
            text = (
                "Function call is missing a thought_signature in functionCall parts. This is"
                " required for tools to work correctly."
            )
            raise RejectedError(400, text)
        if signature != SIGNATURE and signature not in NO_SIGNATURE:
            raise RejectedError(400, "Corrupted thought signature.")


def _check_tools(tools: list[Json]) -> None:
    for number, tool in enumerate(tools):
        for index, declared in enumerate(tool.get("functionDeclarations", [])):
            where = f"tools[{number}].function_declarations[{index}]"
            names = ("name", "description", "parameters", "parametersJsonSchema", "response")
            _known(declared, names, f" at '{where}'")
            if "parameters" in declared:
                _check_schema(declared["parameters"], f"{where}.parameters")
            _check_references(declared.get("parametersJsonSchema"))


def _check_references(schema: Any) -> None:
    """Beside a reference stands nothing else, and there are no `definitions`."""
    members = schema if isinstance(schema, list) else []
    if isinstance(schema, dict):
        members = [*schema.values()]
        beside = [name for name in schema if not name.startswith("$")]
        if isinstance(schema.get("$ref"), str) and beside:
            raise RejectedError(400, "reference to other schema must not have other fields set.")
        if "definitions" in schema:
            raise RejectedError(400, 'Unknown name "definitions": Cannot find field.')
    for member in members:
        _check_references(member)


def check_embeddings(body: Json) -> None:
    """Raises RejectedError for more than it embeds at once."""
    if len(body["requests"]) > 100:
        text = "* BatchEmbedContentsRequest.requests: at most 100 requests can be in one batch"
        raise RejectedError(400, text)

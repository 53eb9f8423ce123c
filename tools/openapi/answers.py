"""The answers that the code writes without a type, in the forms of OpenAI and Anthropic.

A provider of the same dialect may add fields of its own, so what is named is what is always there.
"""

from tools.openapi.operation import listing
from tools.openapi.schemas import INTEGER, JSON, MAYBE, NUMBER, STRING, Named, full, refer, thing

OBJECT: JSON = {"type": "object"}
_COUNTS: JSON = {"type": "object", "description": "Counts of tokens."}


def _tagged(value: str) -> JSON:
    return {"const": value}


COMPLETION = Named(
    "ChatCompletion",
    thing(
        *("id", "object", "created", "model", "choices"),
        id=STRING,
        object=_tagged("chat.completion"),
        created=INTEGER,
        model=STRING,
        choices={
            "type": "array",
            "items": thing(
                *("index", "message", "finish_reason"),
                index=INTEGER,
                message=refer("AssistantMessage"),
                finish_reason=MAYBE,
                logprobs={"type": ["object", "null"]},
            ),
        },
        usage={"type": ["object", "null"], "description": "Counts of tokens."},
    ),
    (
        Named(
            "AssistantMessage",
            thing(
                "role",
                role=_tagged("assistant"),
                content=MAYBE,
                refusal=MAYBE,
                reasoning_content=MAYBE,
                tool_calls={"type": ["array", "null"], "items": OBJECT},
                extra_content={
                    "type": "object",
                    "description": "What the provider wants back on the next turn.",
                },
            ),
        ),
    ),
)
EMBEDDINGS = Named(
    "EmbeddingList",
    full(
        object=_tagged("list"),
        data={
            "type": "array",
            "items": full(
                object=_tagged("embedding"),
                index=INTEGER,
                embedding={
                    "anyOf": [{"type": "array", "items": NUMBER}, STRING],
                    "description": "Numbers, or base64 of little-endian float32.",
                },
            ),
        },
        model=STRING,
        usage=full(prompt_tokens=INTEGER, total_tokens=INTEGER),
    ),
)
MESSAGE = Named(
    "AnthropicMessage",
    thing(
        *("id", "type", "role", "model", "content", "stop_reason", "usage"),
        id=STRING,
        type=_tagged("message"),
        role=_tagged("assistant"),
        model=STRING,
        content={"type": "array", "items": full(type=STRING)},
        stop_reason=MAYBE,
        stop_sequence=MAYBE,
        stop_details={"type": ["object", "null"]},
        usage=_COUNTS,
    ),
)
MESSAGE_TOKENS = Named("MessageTokens", full(input_tokens=INTEGER))
RESPONSE = Named(
    "ResponseObject",
    thing(
        *("id", "object", "created_at", "status", "model", "output"),
        id=STRING,
        object=_tagged("response"),
        created_at=NUMBER,
        status={"enum": ["completed", "incomplete", "failed", "in_progress"]},
        error={"type": ["object", "null"]},
        incomplete_details={"type": ["object", "null"]},
        model=STRING,
        output={"type": "array", "items": full(type=STRING)},
        previous_response_id=MAYBE,
        store={"type": "boolean"},
        usage={"type": ["object", "null"]},
        metadata={"type": ["object", "null"]},
    ),
)
DELETED_RESPONSE = Named(
    "DeletedResponse", full(id=STRING, object=_tagged("response"), deleted={"const": True})
)
INPUT_ITEMS = Named(
    "InputItems",
    listing(
        "data",
        OBJECT,
        object=_tagged("list"),
        first_id=MAYBE,
        last_id=MAYBE,
        has_more={"type": "boolean"},
    ),
)
RESPONSE_TOKENS = Named(
    "ResponseTokens", full(object=_tagged("response.input_tokens"), input_tokens=INTEGER)
)
MODEL = Named("Model", full(id=STRING, object=_tagged("model"), created=INTEGER, owned_by=STRING))
ANTHROPIC_MODEL = Named(
    "AnthropicModel",
    thing(
        *("type", "id", "display_name", "created_at"),
        type=_tagged("model"),
        id=STRING,
        display_name=STRING,
        created_at={"type": "string", "format": "date-time"},
        lifecycle=STRING,
    ),
)
MODELS = Named(
    "ModelList",
    {
        "anyOf": [
            listing("data", MODEL, object=_tagged("list")),
            listing(
                "data", ANTHROPIC_MODEL, has_more={"type": "boolean"}, first_id=MAYBE, last_id=MAYBE
            ),
            listing("models", full(slug=STRING)),
        ]
    },
    (MODEL, ANTHROPIC_MODEL),
)
ONE_MODEL = Named(
    "AnyModel",
    {"anyOf": [refer(MODEL.name), refer(ANTHROPIC_MODEL.name)]},
    (MODEL, ANTHROPIC_MODEL),
)
PASSED = Named("Passed", {"description": "Whatever the provider answers."})
ANYTHING = Named("Anything", {"description": "Whatever the provider takes."})
NAMED_MODEL = Named(
    "NamedModel", full(model={"type": "string", "minLength": 1, "description": "As in a chat."})
)
NAMED_FORM = Named("NamedModelForm", full(model=STRING))

"""The names of components that aren't called as their types, and what readers demand beside
the types."""

from proxy.aliases import model as aliases
from proxy.api import budgets, key_bodies, keys, operations
from proxy.batch import items
from proxy.core import messages, principal
from proxy.dialects import (
    anthropic_body,
    native,
    native_request,
    openai_request,
    responses_items,
    responses_request,
    responses_tools,
    steering,
)
from proxy.dialects import messages as messages_reading
from tools.openapi.schemas import JSON

NAMES: dict[type, str] = {
    native_request._NativeBody: "GenerateRequest",
    native_request._NativeCache: "CacheControl",
    native._Response: "GenerateAnswer",
    native._Usage: "Usage",
    native._Metadata: "AnswerMetadata",
    items.Batch: "BatchRequest",
    items.ItemResult: "BatchResult",
    openai_request._ChatBody: "ChatCompletionRequest",
    openai_request._EmbeddingBody: "EmbeddingRequest",
    steering._Provider: "ProviderChoice",
    steering.CacheWish: "CacheWish",
    messages_reading.NamedChoice: "ToolChoice",
    messages_reading.NamedFunction: "ToolName",
    anthropic_body.Body: "MessagesRequest",
    anthropic_body.Turn: "MessagesTurn",
    anthropic_body.Block: "MessagesBlock",
    anthropic_body.Offer: "MessagesTool",
    anthropic_body.Choice: "MessagesToolChoice",
    anthropic_body.Thinking: "MessagesThinking",
    anthropic_body.Form: "MessagesFormat",
    anthropic_body.OutputConfig: "MessagesOutputConfig",
    anthropic_body.Metadata: "MessagesMetadata",
    responses_request._Body: "ResponsesRequest",
    responses_items.Item: "ResponsesItem",
    responses_request._Text: "ResponsesText",
    responses_request._Format: "ResponsesFormat",
    responses_request._Reasoning: "ResponsesReasoning",
    responses_tools.OfferedTool: "ResponsesTool",
    responses_tools.ToolChoice: "ResponsesToolChoice",
    responses_tools.ChosenTool: "ResponsesToolName",
    key_bodies.KeyBody: "NewKey",
    keys._Rotation: "KeyRotation",
    key_bodies.KeyView: "Key",
    key_bodies.KeyViewPage: "KeyPage",
    key_bodies._Limits: "NewKeyLimits",
    key_bodies.BudgetBody: "Budget",
    budgets.ShownBudget: "SharedBudget",
    budgets.BudgetPage: "SharedBudgetPage",
    principal.Limits: "KeyLimits",
    operations._ShownPurge: "Purge",
    aliases.Range: "AliasRange",
    aliases.When: "AliasConditions",
    aliases.Limit: "AliasLimit",
    aliases.Spending: "AliasBudget",
    aliases.CacheDefaults: "AliasCache",
}
REFINED: dict[type, JSON] = {
    native_request._NativeBody: {"anyOf": [{"required": ["prompt"]}, {"required": ["messages"]}]},
    messages.ToolCall: {"anyOf": [{"required": ["function"]}, {"required": ["custom"]}]},
}

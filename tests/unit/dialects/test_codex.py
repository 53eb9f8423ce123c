"""The list of models as Codex reads it."""

import json

from proxy.core.model_entry import ModelEntry
from proxy.dialects import codex

FIELDS = {
    *("slug", "display_name", "description", "default_reasoning_level"),
    *("supported_reasoning_levels", "shell_type", "visibility", "supported_in_api", "priority"),
    *("base_instructions", "supports_reasoning_summaries", "support_verbosity"),
    *("default_verbosity", "apply_patch_tool_type", "truncation_policy"),
    *("supports_parallel_tool_calls", "context_window", "experimental_supported_tools"),
    *("input_modalities", "upgrade"),
}


def test_a_model_with_all_that_codex_wants() -> None:
    plain = ModelEntry("groq/small", "groq", context=1000, can=frozenset({"tools"}))
    able = ModelEntry("openai/large", "openai", can=frozenset({"vision", "reasoning"}))
    vectors = ModelEntry("openai/embed", "openai", chats=False)
    small, large = json.loads(codex.models([plain, vectors, able]))["models"]
    assert small.keys() == large.keys() == FIELDS
    assert (small["slug"], small["context_window"], small["priority"]) == ("groq/small", 1000, 0)
    assert (small["supported_reasoning_levels"], small["input_modalities"]) == ([], ["text"])
    assert (large["context_window"], large["priority"]) == (codex.CONTEXT, 1)
    assert large["input_modalities"] == ["text", "image"]
    levels = [level["effort"] for level in large["supported_reasoning_levels"]]
    assert small["base_instructions"] == large["base_instructions"] == codex.INSTRUCTIONS
    assert large["default_reasoning_level"] in levels

"""Reads the entries of `model_list`: which model answers, how much of the traffic it gets, and with
which parameters."""

import re
from dataclasses import dataclass, field
from typing import Any

import msgspec

from proxy.core.errors import InvalidRequest
from proxy.core.preset import Parameters
from proxy.dialects.messages import check_format
from tools.import_litellm.document import Node
from tools.import_litellm.report import Report
from tools.import_litellm.servers import Servers, Unknown

DEFAULTS = {
    "temperature": "temperature",
    "top_p": "topP",
    "max_tokens": "maxTokens",
    "max_completion_tokens": "maxTokens",
    "stop": "stop",
    "seed": "seed",
    "frequency_penalty": "frequencyPenalty",
    "presence_penalty": "presencePenalty",
    "reasoning_effort": "reasoningEffort",
    "response_format": "responseFormat",
}
"""Parameters that an alias can give as defaults: LiteLLM's name, and this project's."""
_READ = frozenset(
    (
        *(
            "model",
            "custom_llm_provider",
            "api_key",
            "api_base",
            "base_url",
            "litellm_credential_name",
        ),
        *("weight", "order", "rpm", "tpm", "timeout", "max_budget", "budget_duration"),
        *("aws_region_name", "vertex_project", "vertex_ai_project", "vertex_location"),
        *("vertex_ai_location", "model_info", "tags"),
    )
)
_PRICES = "prices stand in the model's line of src/proxy/providers/catalog.json (input, output, …)"
_CLOUD_KEYS = (
    "the proxy signs no requests: make an API key of that cloud's and set it as the provider's"
)
_HEADERS = "headers stand in the provider's entry of src/proxy/providers/catalog.json (headers)"
_RETRIES = "RETRY_ATTEMPTS counts for all models"
_CALLERS = "callers send it in each request"
_LOST = (
    (re.compile(r".*_cost(_|$).*|.*cost_per_.*|base_model"), _PRICES),
    (re.compile(r"extra_headers|headers|organization|.*_header"), _HEADERS),
    (re.compile(r"aws_.*|s3_.*|bedrock_.*"), _CLOUD_KEYS),
    (re.compile(r"vertex_.*|.*credentials.*"), _CLOUD_KEYS),
    (re.compile(r"azure_.*|tenant_id|client_id|client_secret"), _CLOUD_KEYS),
    (re.compile(r"max_retries|num_retries"), _RETRIES),
    (re.compile(r"stream_timeout"), "FIRST_BYTE_TIMEOUT_MS and IDLE_TIMEOUT_MS are for all models"),
    (re.compile(r"mock_response|mock_.*"), "`make dev` answers from a local model without a key"),
    (re.compile(r"auto_router_.*|complexity_router_.*|adaptive_router_.*|quality_router_.*"),
     "an alias chooses by `when`: key, user, metadata, abilities needed, length of the prompt"),
    (re.compile(r"cache_control_injection_points"),
     'put "send": {"cache_control": …} on the model\'s line in src/proxy/providers/catalog.json'),
    (re.compile(r"api_version|(additional_)?drop_params|merge_reasoning_content_in_choices"), ""),
)  # fmt: skip
"""What is left out, and what to do instead; empty: nothing."""
_MODES = {
    "image_generation": "POST /v1/images/generations goes to the provider of its model",
    "audio_transcription": "POST /v1/audio/transcriptions goes to the provider of its model",
    "audio_speech": "POST /v1/audio/speech goes to the provider of its model",
    "moderation": "POST /v1/moderations goes to the provider of its model",
    "completion": "POST /v1/completions goes to the provider of its model",
    "rerank": "call the provider's own path under /p/PROVIDER/",
    "realtime": "the proxy has no realtime sessions",
    "batch": "the proxy's POST /v1/batch is another thing; call the provider's under /p/PROVIDER/",
}
_OPENAI_CLOUDS = ("azure", "bedrock", "vertex")
_PERIODS = {"1d": "day", "24h": "day", "30d": "month", "31d": "month", "1mo": "month"}


@dataclass(frozen=True)
class Deployment:
    """An entry of `model_list` that has a provider here."""

    node: Node
    name: str
    """Its `model_name`."""
    model: str
    """`provider/NAME`."""
    weights: dict[str, float] = field(default_factory=dict)
    """By `weight`, `rpm` and `tpm`: simple-shuffle takes the first that the group has."""
    order: float = 0
    budget: dict[str, float] = field(default_factory=dict)
    timeout: int | None = None
    """Milliseconds."""
    defaults: dict[str, Any] = field(default_factory=dict)

    @property
    def is_pattern(self) -> bool:
        """Whether it stands for many models."""
        return "*" in self.name or "*" in self.model


def read_deployments(config: Node, servers: Servers) -> list[Deployment]:
    """All entries, in their order; those of servers of one's own are placed last."""
    report, found = servers.report, {}
    credentials = _read_credentials(config)
    models = config.fields.get("model_list", config)
    if not models.items:
        report.lose(models, "It has no list of models in model_list.")
    entries = list(enumerate(models.items))
    for number, entry in sorted(entries, key=lambda pair: _is_own_server(pair[1])):
        if deployment := _read(entry, credentials, servers):
            found[number] = deployment
    return [found[number] for number in sorted(found)]


def _is_own_server(entry: Node) -> bool:
    params = entry.fields.get("litellm_params", Node(None))
    named = (params.get("model") or Node("")).text.partition("/")[0]
    return bool(params.get("api_base", "base_url")) and named in ("openai", "custom_openai")


def _read_credentials(config: Node) -> dict[str, Node]:
    """The values of `credential_list`, by the name that deployments refer to."""
    return {
        name.text: entry.fields.get("credential_values", Node(None))
        for entry in config.fields.get("credential_list", Node(None)).items
        if (name := entry.get("credential_name"))
    }


def _read(entry: Node, credentials: dict[str, Node], servers: Servers) -> Deployment | None:
    report, name = servers.report, (entry.get("model_name") or Node("")).text
    params = entry.fields.get("litellm_params", Node(None))
    if not name or not params.fields:
        report.lose(entry, "It lacks model_name or litellm_params.")
        return None
    params = _merge(entry, params, credentials)
    try:
        prefix, model = servers.find_origin(params)
        provider = servers.place(params, prefix)
    except Unknown as error:
        report.lose(params.get("model") or params, str(error), error.instead)
        return None
    if provider in _OPENAI_CLOUDS and "claude" in model:
        report.differ(
            params.get("model") or params,
            f"The proxy reaches {provider} at its OpenAI endpoint, which may not have this model.",
            "name anthropic/… or openrouter/anthropic/… where it fails",
        )
    _list_rest(entry, params, report)
    if not _list_info(entry.fields.get("model_info", Node(None)), report):
        return None
    return Deployment(
        entry,
        name,
        f"{provider}/{model}",
        weights=_read_weights(params, report),
        order=report.read_number(params.get("order")) or 0,
        budget=_read_budget(params, report),
        timeout=report.read_milliseconds(params.get("timeout")),
        defaults=_read_defaults(params, report),
    )


def _merge(entry: Node, params: Node, credentials: dict[str, Node]) -> Node:
    """With a named credential beneath, and the limits that older files have beside the params."""
    named = params.get("litellm_credential_name")
    beneath = credentials.get(named.text, Node(None)).fields if named else {}
    beside = {name: entry.fields[name] for name in ("rpm", "tpm") if name in entry.fields}
    return Node({**beneath, **beside, **params.fields}, params.path, params.line, params.file)


def _read_budget(params: Node, report: Report) -> dict[str, float]:
    amount = report.read_number(params.get("max_budget"), 0.01)
    if amount is None:
        return {}
    period = params.get("budget_duration") or params
    unit = _PERIODS.get(period.text)
    if unit is None:
        report.lose(period, "A budget is for a day or a month.", "give the target a budget")
        return {}
    return {unit: amount}


def _read_weights(params: Node, report: Report) -> dict[str, float]:
    numbers = {name: report.read_number(params.get(name)) for name in ("weight", "rpm", "tpm")}
    return {name: number for name, number in numbers.items() if number is not None}


def _read_defaults(params: Node, report: Report) -> dict[str, Any]:
    defaults: dict[str, Any] = {}
    for theirs, mine in DEFAULTS.items():
        node = params.get(theirs)
        if node is None:
            continue
        value = node.to_plain()
        if _fits(mine, value):
            defaults.setdefault(mine, value)
        else:
            report.lose(node, f"It is no {mine} that an alias takes.", _CALLERS)
    return defaults


def _fits(name: str, value: Any) -> bool:
    """Whether an alias takes the value as its default."""
    try:
        check_format(msgspec.convert({name: value}, Parameters).response_format, name)
    except (msgspec.ValidationError, InvalidRequest):
        return False
    return True


def _list_rest(entry: Node, params: Node, report: Report) -> None:
    """Say what of an entry is not read."""
    for name, node in params.fields.items():
        if name in _READ or name in DEFAULTS or node.value is None:
            continue
        instead = next((text for pattern, text in _LOST if pattern.fullmatch(name)), _CALLERS)
        if instead:
            report.lose(node, "It can't be set for one model.", instead)
        else:
            report.skip(node, "The proxy needs no such thing.")
    if tags := params.get("tags"):
        report.lose(
            tags,
            "Tags choose no deployment here.",
            'give the target a condition, such as "when": {"metadata": {"tag": …}}, and have'
            " callers send that metadata",
        )
    for name, node in entry.fields.items():
        if name not in ("model_name", "litellm_params", "model_info", "rpm", "tpm"):
            report.lose(node, "It is no field that the import knows.")


def _list_info(info: Node, report: Report) -> bool:
    """Say what of `model_info` is not read; whether an alias can answer for its mode."""
    answers = True
    for name, node in info.fields.items():
        if name == "mode":
            if node.text in _MODES:
                answers = False
                report.lose(node, f"An alias answers no {node.text}.", _MODES[node.text])
        elif name == "id":
            report.skip(node, "The proxy knows a deployment by its provider and model.")
        else:
            instead = "what the proxy knows of a model stands in its line of the catalogue"
            report.lose(node, "It can't be set by an import.", instead)
    return answers

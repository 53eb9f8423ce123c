"""Reads `router_settings`, `litellm_settings`, `general_settings`, and lists all other sections."""

from proxy.core.settings.values import BASE_URL, HEADERS, SECRET
from tools.import_litellm.document import Node
from tools.import_litellm.report import Report

_ALWAYS = "The proxy always does so."
_NO_DATABASE = "The proxy needs no database: Durable Objects keep keys, figures and limits."
_NO_REDIS = "The proxy needs no Redis: Durable Objects hold what isolates share."
_BREAKERS = "a circuit breaker for each provider and model finds its own times (docs/providers.md)"
_KEYS = "issue a key for each user with POST /admin/keys, with its limits and its budget"
_NEEDLESS = {
    "drop_params": "The proxy leaves out what a provider refuses, and names it in x-proxy-dropped.",
    "modify_params": _ALWAYS,
    "json_logs": "Each request has a line of JSON in the log.",
    "set_verbose": "`npx wrangler tail` shows the log.",
    "turn_off_message_logging": "No prompt is logged unless LOG_PROMPTS is on.",
    "redact_user_api_key_info": "No key is ever logged.",
    "enable_pre_call_checks": "The proxy sends no model a prompt that is too long for it.",
    "redis_url": _NO_REDIS,
    "redis_host": _NO_REDIS,
    "redis_port": _NO_REDIS,
    "redis_password": _NO_REDIS,
    "cache_responses": "The section litellm_settings says whether answers are kept.",
    "database_url": _NO_DATABASE,
    "database_connection_pool_limit": _NO_DATABASE,
    "database_connection_timeout": _NO_DATABASE,
    "store_model_in_db": "Aliases are kept in a Durable Object.",
    "disable_master_key_return": _ALWAYS,
    "background_health_checks": "A cron trigger checks each provider.",
    "health_check_interval": "wrangler.toml has the cron trigger's times.",
    "telemetry": "The proxy sends nobody any.",
    "coordination_redis": _NO_REDIS,
    "use_redis_transaction_buffer": _NO_REDIS,
    "include": "The files are read.",
}
_ELSEWHERE = {
    "allowed_fails": _BREAKERS,
    "allowed_fails_policy": _BREAKERS,
    "cooldown_time": _BREAKERS,
    "disable_cooldowns": _BREAKERS,
    "retry_policy": "RETRY_ATTEMPTS counts for all failures that can pass; others are not retried",
    "retry_after": "RETRY_DELAY_MS is the longest first wait; a provider's Retry-After is kept",
    "model_group_retry_policy": "RETRY_ATTEMPTS counts for all models",
    "content_policy_fallbacks": "a refusal is an answer here: have callers ask another alias",
    "routing_strategy_args": "strategies have no arguments but ROUTING_BALANCE",
    "enable_tag_filtering": 'give targets a condition: "when": {"metadata": {…}}',
    "tag_filtering_match_any": 'give targets a condition: "when": {"metadata": {…}}',
    "provider_budget_config": "give an alias's targets a budget",
    "optional_pre_call_checks": "SESSION_AFFINITY keeps a conversation at its provider",
    "default_litellm_params": "give each alias `defaults`",
    "max_budget": _KEYS,
    "budget_duration": _KEYS,
    "default_key_generate_params": _KEYS,
    "upperbound_key_generate_params": _KEYS,
    "key_generation_settings": _KEYS,
    "max_parallel_requests": _KEYS + "; RATE_LIMIT_BURST is how many a user sends at once",
    "global_max_parallel_requests": "RATE_LIMIT_PER_HOUR and RATE_LIMIT_BURST limit each user",
    "alerting": "read /metrics or /analytics/insights from what alerts you",
    "alerting_threshold": "read /metrics or /analytics/insights from what alerts you",
    "alert_types": "read /metrics or /analytics/insights from what alerts you",
    "pass_through_endpoints": "call the provider's own paths under /p/PROVIDER/",
    "custom_auth": _KEYS,
    "enable_jwt_auth": _KEYS,
    "completion_model": "make an alias, and have callers name it",
    "disable_spend_logs": "ANALYTICS=off counts nothing",
    "store_prompts_in_spend_logs": "BODY_LOG=on keeps requests and answers",
    "guardrails": "GUARDRAIL masks or refuses personal data and secrets; call others before it",
    "mcp_servers": "the proxy has none; callers' tools go to the models as they are",
    "files_settings": "call the provider's own paths under /p/PROVIDER/",
    "finetune_settings": "call the provider's own paths under /p/PROVIDER/",
    "vector_store_registry": "call the provider's own paths under /p/PROVIDER/",
    "cost_discount_config": "prices stand in src/proxy/providers/catalog.json",
    "cost_margin_config": "prices stand in src/proxy/providers/catalog.json",
}
_READ = {
    "router_settings": (
        *("routing_strategy", "model_group_alias", "fallbacks", "context_window_fallbacks"),
        *("default_fallbacks", "num_retries", "timeout", "stream_timeout"),
    ),
    "litellm_settings": (
        *("fallbacks", "context_window_fallbacks", "default_fallbacks", "num_retries"),
        *("request_timeout", "cache", "cache_params"),
        *("callbacks", "success_callback", "failure_callback", "service_callback"),
    ),
    "general_settings": ("master_key", "max_request_size_mb", "cancel_on_disconnect"),
}
_TOP = ("model_list", "environment_variables", "credential_list", *_READ)
_CACHE_PARAMS = ("ttl", "mode", "namespace", "supported_call_types", "type")


def read_sections(config: Node, report: Report) -> None:
    """Add the settings to the report, and say what of the sections is left out."""
    router, litellm, general = (config.fields.get(name, Node(None)) for name in _READ)
    _read_times(router, litellm, report)
    _read_cache(litellm, report)
    _read_callbacks(litellm, report)
    _read_access(config, general, report)
    for name, section in zip(_READ, (router, litellm, general), strict=True):
        _list_rest(section, _READ[name], report)
        if section.value is not None and not isinstance(section.value, dict):
            report.lose(section, "It is no mapping of settings.")
    _list_rest(config, _TOP, report)


def list_environment(report: Report) -> None:
    """Say which of `environment_variables` nothing has referred to; when all else is read."""
    for name, node in report.environment.fields.items():
        if name not in report.read and node.value is not None:
            report.lose(node, "Nothing here reads this variable.")


def _list_rest(section: Node, read: tuple[str, ...], report: Report) -> None:
    for name, node in section.fields.items():
        if name in read or node.value is None:
            continue
        if name in _NEEDLESS:
            report.skip(node, _NEEDLESS[name])
        elif name in _ELSEWHERE:
            report.lose(node, "It has no like here.", _ELSEWHERE[name])
        else:
            report.lose(node, "The import knows no such setting.", "see docs/configuration.md")


def _read_times(router: Node, litellm: Node, report: Report) -> None:
    retries = router.get("num_retries") or litellm.get("num_retries")
    number = report.read_number(retries)
    if retries and number is not None:
        report.set("RETRY_ATTEMPTS", min(int(number) + 1, 5))
        if number > 4:
            report.differ(
                retries, "The proxy tries a provider five times at most, then the next one."
            )
    timeout = router.get("timeout") or litellm.get("request_timeout")
    if (whole := report.read_milliseconds(timeout)) and timeout:
        report.set("REQUEST_TIMEOUT_MS", whole)
        report.differ(timeout, "It is the time for all attempts together, 10 minutes at most.")
    stream = router.get("stream_timeout")
    if first := report.read_milliseconds(stream):
        report.set("FIRST_BYTE_TIMEOUT_MS", first)
        report.set("IDLE_TIMEOUT_MS", first)


def _read_cache(litellm: Node, report: Report) -> None:
    """LiteLLM keeps answers where `cache` is true; this proxy does unless CACHE_TTL is 0."""
    cache, params = litellm.get("cache"), litellm.fields.get("cache_params", Node({}))
    if not isinstance(params.value, dict):
        report.lose(params, "It is no mapping of settings.")
    if cache is None or not cache.is_on:
        report.set("CACHE_TTL", 0)
        if params.fields:
            report.skip(params, "It counts where `cache` is true only.")
        return
    ttl, mode = params.get("ttl"), params.get("mode")
    if mode and mode.text == "default_off":
        report.set("CACHE_TTL", 0)
        report.differ(mode, "Callers opt in by a ttl of the request's `cache`.")
    elif (seconds := report.read_number(ttl)) is not None:
        report.set("CACHE_TTL", min(int(seconds), 31_622_400))
    report.differ(
        cache,
        "Each user sees the answers to its own requests only.",
        "CACHE_SCOPE=shared shows them to all, as LiteLLM does",
    )
    for name, node in params.fields.items():
        if name == "supported_call_types":
            report.differ(node, "The proxy keeps the answers of chats and embeddings.")
        elif name == "namespace":
            report.lose(
                node, "Each deployment has its own cache.", "callers can send cache.namespace"
            )
        elif name == "type" and node.text.endswith("semantic"):
            report.lose(node, "The proxy keeps answers to the same request, not to similar ones.")
        elif name not in _CACHE_PARAMS:
            report.skip(node, "Memory, KV and R2 keep the answers.")


def _read_callbacks(litellm: Node, report: Report) -> None:
    for field in ("callbacks", "success_callback", "failure_callback", "service_callback"):
        node = litellm.get(field)
        for entry in (node.items or [node]) if node else ():
            if entry.text in ("otel", "opentelemetry", "arize_phoenix", "logfire"):
                _read_collector(entry, report)
            elif entry.text == "prometheus":
                report.skip(entry, "GET /metrics is there.")
            elif entry.text.startswith("langfuse"):
                report.lose(
                    entry,
                    "The proxy sends traces by OTLP only.",
                    "set OTEL_EXPORTER_OTLP_ENDPOINT to Langfuse's /api/public/otel, and its"
                    " authorization in OTEL_EXPORTER_OTLP_HEADERS",
                )
            else:
                report.lose(
                    entry,
                    "The proxy sends traces by OTLP only.",
                    "set OTEL_EXPORTER_OTLP_ENDPOINT if that service takes them",
                )


def _read_collector(entry: Node, report: Report) -> None:
    for name, older, reader in (
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_ENDPOINT", BASE_URL),
        ("OTEL_EXPORTER_OTLP_HEADERS", "OTEL_HEADERS", HEADERS),
    ):
        known = name if report.environment.get(name) else older
        found = report.find_variable(known)
        found = found._replace(value=found.value.removesuffix("/v1/traces"))
        report.set_found(name, found, entry, reader)
    report.differ(entry, "Traces go as JSON over HTTP to ENDPOINT/v1/traces, without prompts.")


def _read_access(config: Node, general: Node, report: Report) -> None:
    master = general.get("master_key")
    found = report.find(master)
    if master and found:
        report.set_found("ADMIN_TOKEN", found, master, SECRET)
        report.differ(
            master,
            "It opens everything as ADMIN_TOKEN. Virtual keys stay in LiteLLM's database.",
            _KEYS,
        )
    else:
        report.differ(
            config,
            "Without a master_key LiteLLM is open; a deployment here is closed until"
            " PROXY_API_KEY or ADMIN_TOKEN is set.",
            "npx wrangler secret put PROXY_API_KEY",
        )
    size = general.get("max_request_size_mb")
    if size and (megabytes := report.read_number(size)):
        wanted = int(megabytes * 1024 * 1024)
        report.set("MAX_BODY_BYTES", min(max(wanted, 1024), 24 * 1024 * 1024))
        if wanted > 24 * 1024 * 1024:
            report.differ(size, "A body has 24 MB at most, unless BODY_MEMORY_BYTES is more too.")
    gone = general.get("cancel_on_disconnect")
    if gone:
        report.set("ON_CLIENT_GONE", "abort" if gone.is_on else "finish")

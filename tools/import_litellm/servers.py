"""Finds the provider of the catalogue that answers for a deployment, its address and its keys."""

import json
import re
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from proxy.core.settings import name_variable
from proxy.core.settings.values import BASE_URL, SECRET
from tools.import_litellm.document import Node
from tools.import_litellm.report import Found, Report
from tools.layout import SOURCES

CATALOG = SOURCES / "proxy" / "providers" / "catalog.json"
EXTEND = (
    "if it speaks chat completions, Messages or Responses, add an entry to"
    " src/proxy/providers/catalog.json (docs/providers.md, Adding a provider)"
)


class Origin(NamedTuple):
    """What a prefix of LiteLLM's means."""

    provider: str
    """Its name in the catalogue."""
    key: str = ""
    """The variable in which LiteLLM looks for its key."""
    base: str = ""
    """The variable in which LiteLLM looks for its address."""


_LOCAL = Origin("local")
PREFIXES = {
    "openai": Origin("openai", "OPENAI_API_KEY", "OPENAI_BASE_URL"),
    "text-completion-openai": Origin("openai", "OPENAI_API_KEY"),
    "custom_openai": Origin("openai", "OPENAI_API_KEY"),
    "openai_like": Origin("openai", "OPENAI_API_KEY"),
    "azure": Origin("azure", "AZURE_API_KEY", "AZURE_API_BASE"),
    "azure_ai": Origin("azure", "AZURE_AI_API_KEY", "AZURE_AI_API_BASE"),
    "anthropic": Origin("anthropic", "ANTHROPIC_API_KEY"),
    "gemini": Origin("gemini", "GEMINI_API_KEY"),
    "vertex_ai": Origin("vertex"),
    "vertex_ai_beta": Origin("vertex"),
    "bedrock": Origin("bedrock", "AWS_BEARER_TOKEN_BEDROCK"),
    "groq": Origin("groq", "GROQ_API_KEY"),
    "openrouter": Origin("openrouter", "OPENROUTER_API_KEY"),
    "mistral": Origin("mistral", "MISTRAL_API_KEY"),
    "xai": Origin("xai", "XAI_API_KEY"),
    "together_ai": Origin("together", "TOGETHERAI_API_KEY"),
    "fireworks_ai": Origin("fireworks", "FIREWORKS_AI_API_KEY"),
    "deepinfra": Origin("deepinfra", "DEEPINFRA_API_KEY"),
    "perplexity": Origin("perplexity", "PERPLEXITYAI_API_KEY"),
    "cerebras": Origin("cerebras", "CEREBRAS_API_KEY"),
    "moonshot": Origin("moonshot", "MOONSHOT_API_KEY"),
    "zai": Origin("zai", "ZAI_API_KEY"),
    "nvidia_nim": Origin("nvidia", "NVIDIA_NIM_API_KEY"),
    "huggingface": Origin("huggingface", "HUGGINGFACE_API_KEY"),
    "deepseek": Origin("deepseek", "DEEPSEEK_API_KEY"),
    "cloudflare": Origin("workers-ai"),
    "ollama": Origin("ollama", base="OLLAMA_API_BASE"),
    "ollama_chat": Origin("ollama", base="OLLAMA_API_BASE"),
    "hosted_vllm": Origin("vllm", base="HOSTED_VLLM_API_BASE"),
    "llamafile": _LOCAL,
    "lm_studio": _LOCAL,
    "docker_model_runner": _LOCAL,
    "xinference": _LOCAL,
}
_FAMILIES = (
    (
        re.compile(r"gpt-|o\d|chatgpt-|text-embedding-|tts-|whisper-|dall-e-|omni-moderation"),
        "openai",
    ),
    (re.compile(r"claude-"), "anthropic"),
    (re.compile(r"gemini-"), "vertex_ai"),  # a bare name of Google's is Vertex AI's in LiteLLM
)
"""Models that LiteLLM takes without a prefix."""
_ROUTES = {
    "openai": re.compile(r"responses/"),
    "azure": re.compile(r"(responses|o_series|gpt5_series)/"),
    "bedrock": re.compile(r"(converse|converse_like|invoke|[a-z]{2}(-[a-z]+)+-\d)/"),
}
"""What LiteLLM puts before a model's name to say how it is called."""
_SLOTS = ("local", "vllm", "ollama")
"""Providers that are any server of OpenAI's dialect."""
MAX_KEYS = 99
"""Of a provider's pool."""
_NO_KEYS = frozenset(("none", "empty", "dummy", "fake", "fake-key", "not-needed"))


class Unknown(Exception):
    """No provider answers for it; the message says why, `instead` what to do."""

    def __init__(self, why: str, instead: str) -> None:
        super().__init__(why)
        self.instead = instead


def read_providers() -> dict[str, Any]:
    """The catalogue's providers by their names."""
    providers: dict[str, Any] = json.loads(CATALOG.read_bytes())["providers"]
    return providers


def _guess(params: Node, model: str) -> str:
    if params.get("api_base", "base_url"):
        return "openai"
    for pattern, prefix in _FAMILIES:
        if pattern.match(model):
            return prefix
    head, slash, _ = model.partition("/")
    if slash:
        raise Unknown(f"The catalogue has no provider {head!a}.", EXTEND)
    raise Unknown("Its model's name has no prefix that says whose it is.", "name it provider/model")


def _rename(prefix: str, model: str) -> str:
    """The name that the provider's address in the catalogue takes."""
    if prefix == "huggingface" and model.count("/") == 2:  # LiteLLM: the host before the model
        host, _, name = model.partition("/")
        return f"{name}:{host}"
    if prefix.startswith("vertex_ai") and model.startswith("gemini-"):
        return f"google/{model}"
    return model


@dataclass
class Servers:
    """The providers of an import, each at one address and with its keys."""

    report: Report
    providers: dict[str, Any]
    """The catalogue's."""
    _bases: dict[str, Found] = field(default_factory=dict)
    _keys: dict[str, list[Found]] = field(default_factory=dict)

    def find_origin(self, params: Node) -> tuple[str, str]:
        """LiteLLM's prefix and the model's name without it. Raises Unknown."""
        model, custom = (params.get("model") or Node("")).text, params.get("custom_llm_provider")
        head, _, rest = model.partition("/")
        if custom and custom.text:
            head, rest = custom.text, model.removeprefix(f"{custom.text}/")
        elif head not in PREFIXES or not rest:
            head, rest = _guess(params, model), model
        if not rest:
            raise Unknown("It names no model.", "name one in litellm_params.model")
        if head not in PREFIXES or PREFIXES[head].provider not in self.providers:
            raise Unknown(f"The catalogue has no provider {head!a}.", EXTEND)
        route = _ROUTES.get(PREFIXES[head].provider)
        while route and (found := route.match(rest)):
            rest = rest[found.end() :]
        if not re.fullmatch(r"[!-~]{1,200}", rest):
            raise Unknown("Its model's name is no visible ASCII.", "name it as its provider does")
        return head, _rename(head, rest)

    def place(self, params: Node, prefix: str) -> str:
        """The provider that answers for a deployment. Raises Unknown."""
        origin, node = PREFIXES[prefix], params.get("api_base", "base_url")
        base = self._find_base(params, prefix)
        if not base or origin.provider == "workers-ai":
            provider = origin.provider
            self._claim(provider, Found(), node or params)
        elif origin.provider == "openai":
            provider = self._place_openai(base, node or params)
        else:
            provider = self._claim(origin.provider, base, node or params)
        self._add_key(provider, params, origin)
        return provider

    def _find_base(self, params: Node, prefix: str) -> Found:
        """The address as this project's setting takes it; none: the provider's own."""
        origin, node = PREFIXES[prefix], params.get("api_base", "base_url")
        found = self.report.find(node)
        if not found and origin.base:
            found = self.report.find_variable(origin.base)
            if found.source and self.providers[origin.provider].get("base_url"):
                return Found()  # its own address, unless LiteLLM's environment says otherwise
        if not found.value:
            return found or self._find_cloud(params, prefix)
        url = _complete(origin.provider, found.value)
        own = self.providers[origin.provider].get("base_url")
        same = own and url.rstrip("/").removesuffix("/v1") == own.rstrip("/").removesuffix("/v1")
        return Found() if same else Found(url)

    def _find_cloud(self, params: Node, prefix: str) -> Found:
        """The address of a project or a region, where the catalogue can't know it."""
        if prefix == "bedrock" and (
            region := self.report.find(params.get("aws_region_name")).value
        ):
            return Found(f"https://bedrock-runtime.{region}.amazonaws.com/openai/v1")
        project = self.report.find(params.get("vertex_project", "vertex_ai_project")).value
        if prefix.startswith("vertex_ai") and project:
            place = self.report.find(params.get("vertex_location", "vertex_ai_location")).value
            region = "" if place in ("", "global") else f"{place}-"
            path = f"/v1/projects/{project}/locations/{place or 'global'}/endpoints/openapi"
            return Found(f"https://{region}aiplatform.googleapis.com{path}")
        return Found()

    def _place_openai(self, base: Found, node: Node) -> str:
        """A server of OpenAI's dialect: the catalogue's provider of its host, or a free place."""
        host = urlsplit(base.value).hostname if base.value else None
        for name, entry in self.providers.items():
            if host and host == urlsplit(entry.get("base_url") or "").hostname:
                return self._claim(name, Found(), node)
        for name in _SLOTS:
            if self._bases.get(name) == base:
                return name
        for name in _SLOTS:
            if name in self.providers and name not in self._bases:
                return self._claim(name, base, node)
        raise Unknown(
            "It is one server of one's own more than the catalogue has providers for.",
            'add an entry such as "second": {"endpoints": {"chat": {}}, "base_url": "https://…"} to'
            " src/proxy/providers/catalog.json, set SECOND_API_KEY, and name its models second/X",
        )

    def _claim(self, provider: str, base: Found, node: Node) -> str:
        known = self._bases.setdefault(provider, base)
        if known != base:
            raise Unknown(
                f"{provider} has one address here, and another deployment has taken it.",
                f"add a second entry like {provider}'s, with this base_url, to"
                " src/proxy/providers/catalog.json, and name its models by that entry's name",
            )
        name = name_variable(provider, "BASE_URL")
        if base and name not in self.report.variables:
            self._set_base(name, base, node)
        return provider

    def _set_base(self, name: str, base: Found, node: Node) -> None:
        if not self.report.set_found(name, base, node, BASE_URL):
            return
        if base.value.startswith("http:"):
            self.report.differ(
                node,
                f"{name} is plain http to this machine, which the proxy takes in development only.",
                "a deployment needs an https address, such as a Cloudflare Tunnel's",
            )

    def _add_key(self, provider: str, params: Node, origin: Origin) -> None:
        """The next key of the provider's pool; the same key has one place in it."""
        node = params.get("api_key")
        is_keyless = self.providers[provider].get("keyless", False)
        if node is None:
            if is_keyless or not origin.key:
                return
            found = self.report.find_variable(origin.key)
        else:
            found = self.report.find(node)
        pool = self._keys.setdefault(provider, [])
        if not found or found in pool or provider == "workers-ai":
            return
        if is_keyless and found.value.lower() in _NO_KEYS:
            return
        if len(pool) == MAX_KEYS:
            self.report.lose(node or params, f"{provider} has up to {MAX_KEYS} keys.")
            return
        name = name_variable(provider, "API_KEY") + (f"_{len(pool) + 1}" if pool else "")
        if self.report.set_found(name, found, node or params, SECRET):
            pool.append(found)


def _complete(provider: str, text: str) -> str:
    """The address that an SDK of OpenAI's takes, where LiteLLM takes a shorter or a longer one."""
    url = text.rstrip("/").replace("//0.0.0.0", "//127.0.0.1")
    for end in ("/chat/completions", "/completions", "/embeddings"):
        url = url.removesuffix(end)
    try:
        parts = urlsplit(url)
    except ValueError:
        return url
    if provider == "azure" and (parts.path in ("", "/") or parts.path.startswith("/openai")):
        return f"{parts.scheme}://{parts.netloc}/openai/v1"
    if provider == "ollama" and not parts.path:
        return f"{url}/v1"
    return url

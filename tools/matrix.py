"""Write the tables of providers: docs/providers.md and README.md, from the catalogue.

    python -m tools.matrix

What stands outside of the marks is written by hand.
"""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from tools.layout import ROOT, SOURCES
from tools.settings import replace_between, write

sys.path.insert(0, str(SOURCES))

from proxy.core.settings import name_variable
from proxy.providers.catalog import Catalog
from proxy.providers.specs import ProviderSpec

README = ROOT / "README.md"
DOCUMENT = ROOT / "docs" / "providers.md"
MARK = "providers"
CATALOG = Catalog.load()
DIALECTS = {"chat": "chat completions", "messages": "Messages", "responses": "Responses"}


def render_document(text: str) -> str:
    """docs/providers.md with its table written anew."""
    columns: dict[str, Callable[[ProviderSpec], str]] = {
        "provider": lambda spec: f"[{spec.name}](#{spec.name})",
        "endpoints": lambda spec: ", ".join(spec.endpoints),
        **{f"callers of {name}": _tell_way(wire) for wire, name in DIALECTS.items()},
        "images by URL": lambda s: "passed on" if s.fetches_images else "fetched by the proxy",
        "JSON schema": _tell_schema,
        "embeddings": _tell_embeddings,
        "health check": _tell_probe,
    }
    return replace_between(text, MARK, _render(columns))


def render_readme(text: str) -> str:
    """README.md with its table written anew."""
    columns: dict[str, Callable[[ProviderSpec], str]] = {
        "provider": lambda spec: spec.name,
        "key": _tell_key,
        **{name: _mark_way(wire) for wire, name in DIALECTS.items()},
    }
    return replace_between(text, MARK, _render(columns))


def _render(columns: dict[str, Callable[[ProviderSpec], str]]) -> str:
    rows: list[Sequence[str]] = [list(columns), ["---"] * len(columns)]
    rows += [[tell(spec) for tell in columns.values()] for spec in CATALOG.providers.values()]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _tell_way(wire: str) -> Callable[[ProviderSpec], str]:
    return lambda spec: "as it comes" if wire in spec.endpoints else "translated"


def _mark_way(wire: str) -> Callable[[ProviderSpec], str]:
    return lambda spec: "●" if wire in spec.endpoints else "○"


def _tell_schema(spec: ProviderSpec) -> str:
    models = [m for m in CATALOG.models.values() if m.provider == spec.name and m.mode == "chat"]
    if models and not any(model.can is None or "json" in model.can for model in models):
        return "none known"
    taken = [spec.json_schema if m.json_schema is None else m.json_schema for m in models]
    if any(taken or [spec.json_schema]):
        return "yes" if all(taken) else "by model, else as words in the prompt"
    return "as words in the prompt"


def _tell_embeddings(spec: ProviderSpec) -> str:
    if spec.embedding_model:
        return "yes"
    return "by model name" if spec.main == "chat" else "none"


def _tell_probe(spec: ProviderSpec) -> str:
    if spec.main == "workers-ai":
        return "the binding's list of models"
    if spec.probe_path is None:
        return "none"
    return f"`GET {spec.probe_path}{'?pageSize=1' if spec.main == 'gemini' else ''}`"


def _tell_key(spec: ProviderSpec) -> str:
    url = f"`{name_variable(spec.name, 'BASE_URL')}`"
    if spec.main == "workers-ai":
        return "none; the Worker's AI binding"
    if spec.keyless:
        return f"none; {url}"
    key = f"`{name_variable(spec.name, 'API_KEY')}`"
    has_url = spec.base_url or spec.endpoints[spec.main].base_url
    return key if has_url else f"{key} and {url}"


RENDERERS: dict[Path, Callable[[str], str]] = {README: render_readme, DOCUMENT: render_document}

if __name__ == "__main__":
    for file, render in RENDERERS.items():
        write(file, render(file.read_text("utf-8")))

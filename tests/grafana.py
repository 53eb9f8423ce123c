"""The dashboard for Grafana: what it asks Prometheus for, and whether /metrics has that."""

import json
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

FILE = Path(__file__).parent.parent / "docs" / "grafana-dashboard.json"
_METRIC = re.compile(r"(proxy_\w+)(?:\{([^}]*)\})?")
_LABEL = re.compile(r"(\w+)(?:=~|!=|=)")
_BY = re.compile(r"by \(([^)]*)\)")
_LEGEND = re.compile(r"\{\{(\w+)\}\}")


def read_dashboard() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(FILE.read_text())
    return found


def list_targets(dashboard: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The queries of all panels."""
    for panel in dashboard["panels"]:
        yield from panel.get("targets", ())


def find_missing(page: str) -> list[str]:
    """What the dashboard asks for and a page of metrics does not have."""
    labels: defaultdict[str, set[str]] = defaultdict(set)
    for family in text_string_to_metric_families(page):
        for sample in family.samples:
            labels[sample.name] |= set(sample.labels)
    missing = []
    for target in list_targets(read_dashboard()):
        query, legend = target["expr"], target["legendFormat"]
        used = [(name, _LABEL.findall(matchers)) for name, matchers in _METRIC.findall(query)]
        grouped = {label.strip() for names in _BY.findall(query) for label in names.split(",")}
        missing += [name for name, _ in used if name not in labels]
        for name, matched in used:
            missing += [
                f"{name}.{each}" for each in grouped | {*matched} if each not in labels[name]
            ]
        missing += [f"{query}: {each}" for each in _LEGEND.findall(legend) if each not in grouped]
    return missing

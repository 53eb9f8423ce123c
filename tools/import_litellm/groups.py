"""Makes aliases of the deployments that share a `model_name`, with what follows them on failure."""

import json
import re
from typing import Any

from proxy.aliases.model import MOST_BYTES
from proxy.core.chat import TIERS
from tools.import_litellm.deployments import Deployment
from tools.import_litellm.document import Node
from tools.import_litellm.servers import Servers

_STRATEGIES = {
    "simple-shuffle": ("weighted", ""),
    "least-busy": ("fastest", "The proxy counts no calls under way: the fastest comes first."),
    "latency-based-routing": ("fastest", ""),
    "usage-based-routing": ("weighted", "Each gets its share; rpm is a limit of each hour."),
    "usage-based-routing-v2": ("weighted", "Each gets its share; rpm is a limit of each hour."),
    "cost-based-routing": ("cheapest", ""),
}
METRICS = ("weight", "rpm", "tpm")
MAX_NAME = 64
MAX_TARGETS = 64
MAX_WEIGHT = 1_000_000
MAX_PER_HOUR = 10_000_000
_NO_GROUP = "It names no model_name of model_list that is carried over."
_SECTIONS = ("router_settings", "litellm_settings")


class Groups:
    """The groups of a config, and the order in which they stand in for one another."""

    def __init__(self, config: Node, deployments: list[Deployment], servers: Servers) -> None:
        self._report = servers.report
        self._config = config
        self._reserved = {*TIERS, *servers.providers}
        self._groups: dict[str, list[Deployment]] = {}
        for deployment in deployments:
            self._groups.setdefault(deployment.name, []).append(deployment)
        self._fallbacks = self._read_fallbacks("fallbacks")
        self._longer = self._read_fallbacks("context_window_fallbacks")
        self._strategy, self._is_limit = self._read_strategy()

    def make_aliases(self) -> None:
        """Add an alias for each group, and one for each of its other names, to the report."""
        for name, members in self._groups.items():
            if members[0].is_pattern:
                self._explain_pattern(members[0])
            else:
                self._make_alias(name, name, members[0].node)
        router = self._config.fields.get("router_settings", Node(None))
        for name, node in router.fields.get("model_group_alias", Node(None)).fields.items():
            target = (node.get("model") or node).text
            if not self._is_group(target):
                self._report.lose(node, _NO_GROUP)
            elif name in self._groups:
                self._report.lose(node, "model_list has that name itself, so it counts there.")
            else:
                self._make_alias(name, target, node)
                if node.get("hidden") is not None:
                    self._report.differ(node, "An alias is listed in /v1/models: none is hidden.")

    def _is_group(self, name: str) -> bool:
        return name in self._groups and not self._groups[name][0].is_pattern

    def _read_strategy(self) -> tuple[str, bool]:
        """This project's strategy, and whether `rpm` is a limit."""
        node = self._config.fields.get("router_settings", Node(None)).get("routing_strategy")
        name = node.text if node else "simple-shuffle"
        strategy, remark = _STRATEGIES.get(name, ("weighted", ""))
        if node and name not in _STRATEGIES:
            self._report.lose(node, "The proxy has no such strategy.", "aliases are `weighted`")
        elif node and remark:
            self._report.differ(node, remark)
        return strategy, name.startswith("usage-based")

    def _read_fallbacks(self, field: str) -> dict[str, list[Node]]:
        """What follows each group; `*` is what follows all others."""
        found: dict[str, list[Node]] = {}
        for section in _SECTIONS:
            settings = self._config.fields.get(section, Node(None))
            given = settings.fields.get(field, Node(None))
            for entry in given.items or [given]:
                for name, followers in entry.fields.items():
                    found.setdefault(name, followers.items or [followers])
                    if name != "*" and not self._is_group(name):
                        self._report.lose(followers, _NO_GROUP)
            general = settings.get("default_fallbacks")
            if general and field == "fallbacks":
                found.setdefault("*", general.items or [general])
        return found

    def _make_alias(self, name: str, group: str, node: Node) -> None:
        members = self._groups[group]
        targets, strategy = self._order(members)
        followers = self._follow(group, {target["model"] for target in targets})
        if followers and strategy == "weighted":
            followers = [{**target, "weight": 0} for target in followers]
        elif followers and strategy != "priority":
            self._report.differ(node, "Its fallbacks are among those that the strategy orders.")
        targets += followers
        shared = self._share(members)
        if name == targets[0]["model"] and len(targets) == 1 and not shared:
            self._report.skip(node, f"{name!a} answers by that name.")
            return
        info = members[0].node.fields.get("model_info", Node({}))
        if len(targets) > 1 and (mode := info.get("mode")) and mode.text == "embedding":
            self._report.differ(mode, "Of its targets those of the first one's model answer only.")
        if len(targets) > MAX_TARGETS:
            self._report.lose(
                node, f"An alias has up to {MAX_TARGETS} targets; the others are out."
            )
        alias = {
            "targets": targets[:MAX_TARGETS],
            "strategy": strategy,
            "fallback": False,
            **shared,
        }
        if len(json.dumps(alias)) > MOST_BYTES - MAX_NAME * 2:
            self._report.lose(node, f"An alias has up to {MOST_BYTES} bytes of JSON.")
        else:
            self._report.aliases.append({"name": self._name(name, node), **alias})

    def _name(self, name: str, node: Node) -> str:
        """The name, or the nearest that an alias can have."""
        fit = re.sub(r"[^A-Za-z0-9_.:-]+", "-", name).lstrip("-_.:")[:MAX_NAME] or "model"
        if fit in self._reserved:
            fit = f"{fit[: MAX_NAME - 6]}-alias"
        taken, base, number = {alias["name"] for alias in self._report.aliases}, fit, 2
        while fit in taken or (fit != name and fit in self._groups):
            fit, number = f"{base[: MAX_NAME - 4]}-{number}", number + 1
        if fit != name:
            self._report.differ(
                node,
                f"{fit} is its name here: an alias can't be called {name!a}.",
                "have callers use that name",
            )
        return fit

    def _order(self, members: list[Deployment]) -> tuple[list[dict[str, Any]], str]:
        """The targets and their strategy; those with a lower `order` come before all others."""
        ranks = sorted({member.order for member in members})
        targets: dict[str, dict[str, Any]] = {}
        for rank in ranks:
            for target in self._join([member for member in members if member.order == rank]):
                targets.setdefault(target["model"], target)
        if len(ranks) == 1 and len(targets) > 1:
            return list(targets.values()), self._strategy
        if 1 < len(ranks) < len(targets):
            self._report.differ(
                members[0].node, "Targets of the same `order` are tried in turn, not by weight."
            )
        for target in targets.values():
            target.pop("weight", None)
        return list(targets.values()), "priority"

    def _join(self, members: list[Deployment]) -> list[dict[str, Any]]:
        """One target for each model: deployments that differ by their keys are one, with a pool."""
        joined: dict[str, list[Deployment]] = {}
        for member in members:
            joined.setdefault(member.model, []).append(member)
        metric = next((m for m in METRICS if any(member.weights.get(m) for member in members)), "")
        total = sum(member.weights.get(metric, 0) for member in members)
        scale = min(1, MAX_WEIGHT / total) if total else 1
        targets = []
        for model, same in joined.items():
            target: dict[str, Any] = {"model": model}
            if self._strategy == "weighted":
                weight = sum(m.weights.get(metric, 0) if metric else 1 for m in same) * scale
                target["weight"] = int(weight) if weight == int(weight) else round(weight, 4)
            rpm = sum(member.weights.get("rpm", 0) for member in same)
            if self._is_limit and 1 <= rpm <= MAX_PER_HOUR / 60:
                target["limit"] = {"perHour": round(rpm * 60), "burst": round(rpm)}
            if budgets := [member.budget for member in same if member.budget]:
                target["budget"] = budgets[0]
            targets.append(target)
        return targets

    def _follow(self, group: str, taken: set[str]) -> list[dict[str, Any]]:
        """The targets of the groups that stand in for this one."""
        followers: list[dict[str, Any]] = []
        general, longer = self._fallbacks.get("*", []), self._longer.get(group, [])
        for node in (*self._fallbacks.get(group, general), *longer):
            if node.text == group:
                continue
            if not self._is_group(node.text):
                self._report.lose(node, _NO_GROUP)
                continue
            for member in sorted(self._groups[node.text], key=lambda member: member.order):
                if member.model not in taken:
                    taken.add(member.model)
                    followers.append({"model": member.model})
        if longer:
            self._report.differ(
                longer[0],
                "A model for longer prompts answers after other failures too.",
                'to keep it for them give its target "when": {"promptTokens": {"min": …}}',
            )
        return followers

    def _share(self, members: list[Deployment]) -> dict[str, Any]:
        """What an alias has once: the parameters and the time-out that all its members have."""
        shared: dict[str, Any] = {}
        first = members[0]
        same = {
            name: value
            for name, value in first.defaults.items()
            if all(member.defaults.get(name) == value for member in members)
        }
        for member in members:
            for name in member.defaults.keys() - same.keys():
                self._report.lose(
                    member.node,
                    f"The deployments of {first.name!a} differ in {name}; an alias has one.",
                    "make an alias for each",
                )
        if same:
            shared["defaults"] = same
        times = [member.timeout for member in members if member.timeout]
        if times:
            shared["timeout"] = max(times)
        return shared

    def _explain_pattern(self, member: Deployment) -> None:
        provider = member.model.partition("/")[0]
        if member.name == f"{provider}/*" == member.model:
            self._report.skip(
                member.node, f"Every model of {provider}'s answers by {provider}/NAME."
            )
        else:
            self._report.differ(
                member.node,
                f"No name with * is an alias. Models answer by {provider}/NAME; a bare name does"
                " where the catalogue lists it.",
                "make an alias for each other name that callers use",
            )

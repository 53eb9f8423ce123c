"""Reads a YAML file into nodes that know their place, within bounds.

Files come from people, so what is too large, too deep, or refers to itself is one clear error.
Values are those of YAML's safe schema; anything else (a date, a binary) stays the text that it is.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

import yaml

Scalar = str | int | float | bool | None

MAX_BYTES = 2_000_000
MAX_NODES = 50_000
"""With what anchors repeat, counted each time."""
MAX_DEPTH = 40
MAX_FILES = 50
_PLAIN = frozenset(f"tag:yaml.org,2002:{name}" for name in ("null", "bool", "int", "float"))
_MERGE = "tag:yaml.org,2002:merge"
_WORD = re.compile(r"[\w.*/@:-]{1,60}", re.ASCII)


class ConfigError(Exception):
    """The file can't be read; the message says where and why."""


@dataclass(frozen=True)
class Node:
    """A value of the file: a scalar, a list or a mapping."""

    value: "Scalar | list[Node] | dict[str, Node]"
    path: str = ""
    """Such as `model_list[2].litellm_params.model`."""
    line: int = 1
    file: str = ""
    """The included file in which it stands; empty: the file itself."""

    @property
    def place(self) -> str:
        """Where it is, for people."""
        where = f"{self.file}, line {self.line}" if self.file else f"line {self.line}"
        return f"{self.path} ({where})" if self.path else where

    @property
    def fields(self) -> "Mapping[str, Node]":
        """Of a mapping; none of anything else."""
        return self.value if isinstance(self.value, dict) else {}

    @property
    def items(self) -> "list[Node]":
        """Of a list; none of anything else."""
        return self.value if isinstance(self.value, list) else []

    def get(self, *names: str) -> "Node | None":
        """What the first of these fields holds that is there and not null."""
        found = (self.fields.get(name) for name in names)
        return next((node for node in found if node is not None and node.value is not None), None)

    @property
    def text(self) -> str:
        """Of a text or a number; empty for anything else."""
        if isinstance(self.value, str):
            return self.value.strip()
        is_number = isinstance(self.value, int | float) and not isinstance(self.value, bool)
        return str(self.value) if is_number else ""

    @property
    def number(self) -> float | None:
        """Of a number, or of a text that is one."""
        if not re.fullmatch(r"[+-]?\d{1,15}(\.\d{1,9})?(e[+-]?\d{1,2})?", self.text):
            return None
        return float(self.text)

    @property
    def is_on(self) -> bool:
        """Whether it is a true switch."""
        return self.value is True or self.text.lower() in ("true", "yes", "on", "1")

    def to_plain(self) -> Any:
        """The same without places."""
        if isinstance(self.value, dict):
            return {name: node.to_plain() for name, node in self.value.items()}
        if isinstance(self.value, list):
            return [node.to_plain() for node in self.value]
        return self.value


def read_config(path: Path) -> Node:
    """The file with those that it includes. Raises ConfigError."""
    return _include(_read_file(path, ""), path, {path.resolve()})


def _read_file(path: Path, name: str) -> Node:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or "no such path"
        raise ConfigError(f"{name or path} can't be read: {reason}.") from None
    if len(content) > MAX_BYTES:
        raise ConfigError(f"{name or path} has more than {MAX_BYTES} bytes.")
    return parse(content, name or str(path), name)


def parse(content: bytes, title: str, name: str = "") -> Node:
    """The YAML document. title: what errors call it, name: what places do. Raises ConfigError."""
    loader: yaml.SafeLoader | None = None
    try:
        loader = yaml.SafeLoader(content)
        tree = loader.get_single_node()
        node = _Reading(loader, name).convert(tree, "", 0) if tree else Node({}, file=name)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise ConfigError(f"{title} is no YAML{where}: {error.problem}.") from None
    except yaml.YAMLError:
        raise ConfigError(f"{title} is no YAML: it has characters that YAML does not.") from None
    except _FaultError as error:
        raise ConfigError(f"{title} {error}.") from None
    except (RecursionError, ValueError):
        raise ConfigError(f"{title} is nested too deeply, or has a value of no form.") from None
    finally:
        if loader:
            loader.dispose()
    if not isinstance(node.value, dict):
        raise ConfigError(f"{title} holds no mapping of settings, such as model_list.")
    return node


class _FaultError(Exception):
    """What is wrong with the tree."""


class _Reading:
    def __init__(self, loader: yaml.SafeLoader, file: str) -> None:
        self._loader = loader
        self._file = file
        self._left = MAX_NODES

    def _count(self, tree: yaml.Node, depth: int) -> None:
        self._left -= 1
        if self._left < 0:
            raise _FaultError(f"has more than {MAX_NODES} values, with what its anchors repeat")
        if depth > MAX_DEPTH:
            raise _FaultError(f"is nested more than {MAX_DEPTH} deep at line {_line(tree)}")

    def convert(self, tree: yaml.Node, path: str, depth: int) -> Node:
        self._count(tree, depth)
        value: Scalar | list[Node] | dict[str, Node]
        if isinstance(tree, yaml.MappingNode):
            value = dict(self._convert_fields(tree, path, depth))
        elif isinstance(tree, yaml.SequenceNode):
            value = [
                self.convert(item, f"{path}[{number}]", depth + 1)
                for number, item in enumerate(tree.value)
            ]
        else:
            value = self._convert_scalar(tree)
        return Node(value, path, _line(tree), self._file)

    def _convert_fields(
        self, tree: yaml.MappingNode, path: str, depth: int
    ) -> Iterator[tuple[str, Node]]:
        """What `<<` merges comes first: the mapping's own fields stand above it."""
        self._count(tree, depth)
        for key, value in tree.value:
            if key.tag != _MERGE:
                continue
            merged = reversed(value.value) if isinstance(value, yaml.SequenceNode) else [value]
            for source in merged:
                if not isinstance(source, yaml.MappingNode):
                    raise _FaultError(f"merges what is no mapping at line {_line(key)}")
                yield from self._convert_fields(source, path, depth + 1)
        for key, value in tree.value:
            if key.tag == _MERGE:
                continue
            if not isinstance(key, yaml.ScalarNode):
                raise _FaultError(f"has a field whose name is no text at line {_line(key)}")
            name = _mend(key.value)
            inner = f"{path}.{_show(name)}".lstrip(".")
            yield name, self.convert(value, inner, depth + 1)

    def _convert_scalar(self, tree: yaml.Node) -> Scalar:
        text = _mend(str(tree.value))
        if tree.tag not in _PLAIN:
            return text
        try:
            value: Scalar = self._loader.construct_object(tree)
        except (ValueError, KeyError, yaml.YAMLError):
            return text
        return text if isinstance(value, float) and not isfinite(value) else value


def _mend(text: str) -> str:
    """The text without halves of characters, which YAML's escapes may write."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _show(name: str) -> str:
    """The name as a terminal takes it."""
    return name if _WORD.fullmatch(name) else json.dumps(name[:60])


def _line(tree: yaml.Node) -> int:
    return int(tree.start_mark.line) + 1


def _include(config: Node, path: Path, seen: set[Path]) -> Node:
    """The config with the files of its `include`: their lists are appended, other sections replace
    the config's, as LiteLLM does it."""
    fields = dict(config.fields)
    for entry in config.fields.get("include", Node(None)).items:
        place = path.parent / entry.text
        if not entry.text or place.resolve() in seen:
            continue
        seen.add(place.resolve())
        if len(seen) > MAX_FILES:
            raise ConfigError(f"{path} includes more than {MAX_FILES} files.")
        included = _include(_read_file(place, _show(entry.text)), place, seen)
        for name, node in included.fields.items():
            mine = fields.get(name)
            if name != "include" and mine and mine.items and isinstance(node.value, list):
                fields[name] = Node([*mine.items, *node.items], mine.path, mine.line, mine.file)
            elif name != "include":
                fields[name] = node
    return Node(fields, config.path, config.line, config.file)

"""What comes out of an import: variables, aliases, and what people must know of the rest."""

import re
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from proxy.core.settings.values import HEADERS, SECRET, Reader
from tools.import_litellm.document import Node

_REFERENCE = "os.environ/"


class Variable(NamedTuple):
    """A setting of this project's."""

    name: str
    value: str = ""
    """As it stands in the file; empty: it stands in LiteLLM's environment only."""
    source: str = ""
    """The variable of LiteLLM's environment that holds it."""
    is_secret: bool = False


class Remark(NamedTuple):
    """A word on a place of the file."""

    place: str
    what: str
    instead: str = ""


class Found(NamedTuple):
    """What a value of the file is: its text, or the variable that holds it."""

    value: str = ""
    source: str = ""

    def __bool__(self) -> bool:
        return bool(self.value or self.source)


@dataclass
class Report:
    """Gathers the outcome. Of the file's values remarks hold names of models and providers only."""

    environment: Node = field(default_factory=lambda: Node({}))
    """The section `environment_variables`."""
    variables: dict[str, Variable] = field(default_factory=dict)
    aliases: list[dict[str, Any]] = field(default_factory=list)
    differences: list[Remark] = field(default_factory=list)
    """Carried over, and not quite the same."""
    needless: list[Remark] = field(default_factory=list)
    """Left out, since the proxy does it anyway."""
    losses: list[Remark] = field(default_factory=list)
    read: set[str] = field(default_factory=set)
    """The names of `environment_variables` that something has referred to."""

    def find(self, node: Node | None) -> Found:
        """The value of a field that may be `os.environ/NAME`."""
        text = node.text if node else ""
        return self.find_variable(text[len(_REFERENCE) :]) if _is_reference(text) else Found(text)

    def find_variable(self, name: str) -> Found:
        """The value of a variable of LiteLLM's environment."""
        given = self.environment.get(name)
        if given is None or not given.text:
            return Found(source=name)
        self.read.add(name)
        if _is_reference(given.text):
            return Found(source=given.text[len(_REFERENCE) :])
        return Found(given.text)

    def set(self, name: str, value: object) -> None:
        """Set what is no secret; the first word counts."""
        self.variables.setdefault(name, Variable(name, str(value)))

    def set_found(self, name: str, found: Found, node: Node, reader: Reader) -> bool:
        """Set what stands in the file or in LiteLLM's environment; whether the setting takes it."""
        try:
            reader.read(found.value)
        except ValueError as error:
            self.lose(node, f"{name} {error}.", f"set {name} by hand")
            return False
        is_secret = reader in (SECRET, HEADERS)
        self.variables[name] = Variable(name, found.value, found.source, is_secret)
        return True

    def read_number(self, node: Node | None, low: float = 0, high: float = 1e9) -> float | None:
        """A number of [low, high]; what is none is lost."""
        if node is None:
            return None
        if node.number is None or not low <= node.number <= high:
            self.lose(node, "It is no number that the import can read.")
            return None
        return node.number

    def read_milliseconds(self, node: Node | None) -> int | None:
        """LiteLLM's seconds, as a setting takes them: 1 ms to 10 minutes."""
        seconds = self.read_number(node)
        return min(max(round(seconds * 1000), 1), 600_000) if seconds else None

    def differ(self, node: Node, what: str, instead: str = "") -> None:
        """Say what is carried over and not quite the same."""
        self.differences.append(Remark(node.place, what, instead))

    def skip(self, node: Node, what: str) -> None:
        """Say what needs nothing here."""
        self.needless.append(Remark(node.place, what))

    def lose(self, node: Node, what: str, instead: str = "") -> None:
        """Say what is not carried over."""
        self.losses.append(Remark(node.place, what, instead))


def _is_reference(text: str) -> bool:
    return bool(re.fullmatch(rf"{_REFERENCE}[A-Za-z_][A-Za-z0-9_]{{0,100}}", text))

"""The catalogue's file as text: one line for each model, and all else as it stands."""

import json
import re
from dataclasses import dataclass, field

from tools.catalog.entry import Entry, render_entry
from tools.catalog.offers import SourceError

_LINE = re.compile(r'^    (\{"provider": ".*\})(,?)$')
_STAMP = re.compile(r'^    "refreshed": "(.*)",$')


@dataclass
class Document:
    """The file's lines, and which of them are models."""

    lines: list[str]
    aliases: frozenset[str]
    entries: dict[tuple[str, str], Entry] = field(default_factory=dict)
    """By provider and id, in the file's order."""
    _places: dict[tuple[str, str], int] = field(default_factory=dict)

    @classmethod
    def read(cls, text: str) -> "Document":
        """Raises SourceError for a file that is no catalogue."""
        try:
            whole = json.loads(text)
            count, aliases = len(whole["models"]), frozenset(whole["aliases"])
        except (ValueError, KeyError, TypeError) as error:
            raise SourceError(f"catalog.json is no catalogue: {error!r}") from error
        document = cls(text.splitlines(), aliases)
        for number, line in enumerate(document.lines):
            if found := _LINE.match(line):
                entry = json.loads(found[1])
                name = entry["provider"], entry["id"]
                document.entries[name], document._places[name] = entry, number
        if not count == len(document.entries) > 0 or not any(map(_STAMP.match, document.lines)):
            raise SourceError(
                'catalog.json: expected a line for each model ({"provider": …}) and a line '
                '"refreshed": "…" in $about'
            )
        return document

    def replace(self, name: tuple[str, str], entry: Entry) -> None:
        """Write an entry in the place of its old one, if it differs."""
        if entry != self.entries[name]:
            comma = "," if self.lines[self._places[name]].endswith(",") else ""
            self.lines[self._places[name]] = f"    {render_entry(entry)}{comma}"
            self.entries[name] = entry

    def add(self, name: tuple[str, str], entry: Entry) -> None:
        """Write a new entry below the last one of its provider; raises SourceError where that has
        none."""
        places = [place for (provider, _), place in self._places.items() if provider == name[0]]
        if not places:
            raise SourceError(f"catalog.json has no model of {name[0]} to put {name[1]} below")
        last = max(places)
        comma = "," if self.lines[last].endswith(",") else ""
        self.lines[last] = self.lines[last].rstrip(",") + ","
        self.lines.insert(last + 1, f"    {render_entry(entry)}{comma}")
        for other, place in self._places.items():
            self._places[other] = place + (place > last)
        self.entries[name], self._places[name] = entry, last + 1

    def stamp(self, text: str) -> None:
        """Say in `$about` what the file was last refreshed from."""
        place = next(n for n, line in enumerate(self.lines) if _STAMP.match(line))
        self.lines[place] = f'    "refreshed": {json.dumps(text)},'

    @property
    def stamped(self) -> str:
        """What `$about` says of that now."""
        return next(found[1] for line in self.lines if (found := _STAMP.match(line)))

    def render(self) -> str:
        """The file's text."""
        return "\n".join(self.lines) + "\n"

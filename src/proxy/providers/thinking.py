"""Reasoning that some models write inline, at the very start of their text."""

from typing import Literal

SEEN = 1024 * 1024
"""Characters of inline reasoning that are kept as they stood."""


class Thinking:
    """Parts the reasoning that some models write inline, `<think>…</think>` at the very start
    of their text, from the answer, however the text is cut into pieces. The white space
    around either belongs to neither."""

    def __init__(self, tag: str = "think") -> None:
        self._open, self._close = f"<{tag}>", f"</{tag}>"
        self._stage: Literal["before", "inside", "after", "done"] = "before"
        self._held = ""
        self._spaces: list[str] = []
        """What follows `_held` and is white space: joined once, with what comes after it."""
        self._begun = False
        self._seen: list[str] = []
        self._room = SEEN
        self.inline = ""
        """The reasoning as it stood before the text, tags and white space included, once both
        are parted; empty where that is longer than SEEN."""

    @property
    def is_over(self) -> bool:
        """Whether all that comes now is the answer's text."""
        return self._stage == "done"

    def feed(self, text: str, *, last: bool = False) -> tuple[str, str]:
        """The answer's text and the reasoning that `text` completes; all if it is the last."""
        answer, thought = self._feed(text)
        if not last:
            return answer, thought
        rest, rest_thought = self._end()
        return answer + rest, thought + rest_thought

    def _feed(self, text: str) -> tuple[str, str]:
        if self._stage == "done":
            return text, ""
        self._room -= len(text)
        if self._room >= 0:
            self._seen.append(text)
        if not text or text.isspace():
            self._spaces.append(text)
            return "", ""
        self._join(text)
        if self._stage == "before":
            lead = self._held.lstrip()
            if lead.startswith(self._open):
                self._stage, self._held = "inside", lead[len(self._open) :]
            elif not self._open.startswith(lead):
                return self._end()
        thought = self._take_thought() if self._stage == "inside" else ""
        if self._stage == "after":
            self._held = self._held.lstrip()
            if self._held:
                return self._end()[0], thought
        return "", thought

    def _end(self) -> tuple[str, str]:
        """What was held back because a tag might have begun in it."""
        self._join("")
        held, self._held = self._held, ""
        stage, self._stage = self._stage, "done"
        if stage == "after" or (stage == "inside" and not self._begun):
            held = held.lstrip()
        text, thought = ("", held) if stage == "inside" else (held, "")
        if stage != "done" and self._room >= 0:
            seen = "".join(self._seen)
            self.inline = seen[: len(seen) - len(text)]
        self._seen.clear()
        return text, thought

    def _join(self, text: str) -> None:
        held = (self._held, *self._spaces, text)
        self._held = "".join(filter(None, held)) if any(held[:-1]) else text
        self._spaces.clear()

    def _take_thought(self) -> str:
        if not self._begun:
            self._held = self._held.lstrip()
        close = self._close
        thought, closed, rest = self._held.partition(close)
        if closed:
            self._stage, self._held = "after", rest
            return thought.rstrip()
        tag = next(n for n in range(len(close) - 1, -1, -1) if thought.endswith(close[:n]))
        sure = thought[: len(thought) - tag].rstrip()
        self._held = thought[len(sure) :]
        self._begun = self._begun or bool(sure)
        return sure


def split_thinking(text: str, tag: str = "think") -> tuple[str, str]:
    """The answer, which the text ends with, and the reasoning of a whole text."""
    if not text.lstrip().startswith(f"<{tag}>"):
        return text, ""
    return Thinking(tag).feed(text, last=True)

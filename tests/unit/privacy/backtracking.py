"""A matcher that backtracks as `re` does, and counts its steps: where C does the work, no count of
the interpreter's shows how much it is."""

import re
import sys
from collections.abc import Iterator
from importlib import import_module
from typing import Any

_parser = import_module("re._parser")
"""Of no type: mypy knows the module where an installed package imports it, and else does not."""


class Steps:
    """Looks for a pattern as `re.finditer` does, and counts what that takes."""

    def __init__(self, pattern: str, flags: int = 0) -> None:
        self._tree = list(_parser.parse(pattern, flags))
        self.steps = 0
        self._text = ""

    def find_all(self, text: str) -> list[tuple[int, int]]:
        self._text, spans, at = text, [], 0
        while at <= len(text):
            end = next(self._match(self._tree, 0, at, False), None)
            if end is None or end == at:
                at += 1
            else:
                spans.append((at, end))
                at = end
        return spans

    def _match(self, tree: list[Any], number: int, at: int, ignore: bool) -> Iterator[int]:
        """The ends of the ways through a tree from a place on."""
        if number == len(tree):
            yield at
            return
        self.steps += 1
        op, argument = tree[number]
        name = str(op)
        if name in ("MAX_REPEAT", "POSSESSIVE_REPEAT"):
            low, high, body = argument
            ends = self._repeat(list(body), low, high, at, ignore)
            if name == "POSSESSIVE_REPEAT":
                first = next(ends, None)
                ends = iter(() if first is None else (first,))
        elif name == "SUBPATTERN":
            _, on, _, body = argument
            ends = self._match(list(body), 0, at, ignore or bool(on & re.IGNORECASE))
        elif name == "BRANCH":
            ends = (e for body in argument[1] for e in self._match(list(body), 0, at, ignore))
        elif name in ("ASSERT", "ASSERT_NOT"):
            ends = iter((at,) if self._looks(argument, at, ignore) == (name == "ASSERT") else ())
        elif name == "AT":
            ends = iter((at,) if self._is_at(str(argument), at) else ())
        else:
            ends = iter((at + 1,) if self._takes(op, argument, at, ignore) else ())
        for end in ends:
            yield from self._match(tree, number + 1, end, ignore)

    def _repeat(self, body: list[Any], low: int, high: Any, at: int, ignore: bool) -> Iterator[int]:
        """Greedily: one of a sign is scanned first, and then given back, as `re` does."""
        most = sys.maxsize if str(high) == "MAXREPEAT" else int(high)
        if len(body) == 1 and str(body[0][0]) in ("IN", "LITERAL", "NOT_LITERAL", "ANY"):
            end = at
            while end - at < most and self._takes(body[0][0], body[0][1], end, ignore):
                self.steps += 1
                end += 1
            while end - at >= low:
                self.steps += 1
                yield end
                end -= 1
            return
        stack: list[tuple[int, Iterator[int]]] = []
        count, place, moved = 0, at, True
        while True:
            goes_on = count < most and (moved or count < low)
            stack.append((place, self._match(body, 0, place, ignore) if goes_on else iter(())))
            while stack:
                before, ways = stack[-1]
                after = next(ways, None)
                if after is not None:
                    place, count, moved = after, count + 1, after > before
                    break
                stack.pop()
                if len(stack) >= low:
                    yield before
                count = len(stack) - 1
            if not stack:
                return

    def _looks(self, argument: Any, at: int, ignore: bool) -> bool:
        direction, body = argument
        if direction > 0:
            return next(self._match(list(body), 0, at, ignore), None) is not None
        return any(
            at in self._match(list(body), 0, start, ignore) for start in range(max(0, at - 3), at)
        )

    def _is_at(self, place: str, at: int) -> bool:
        if place == "AT_END_STRING":
            return at == len(self._text)
        assert place == "AT_BOUNDARY", place
        return bool(re.compile(r"\b").match(self._text, at))

    def _takes(self, op: Any, argument: Any, at: int, ignore: bool) -> bool:
        if at >= len(self._text):
            return False
        sign = self._text[at]
        if str(op) == "IN":
            items = [item for item in argument if str(item[0]) != "NEGATE"]
            is_in = any(self._is_in(item, sign) for item in items)
            return is_in == (len(items) == len(argument))
        if str(op) == "ANY":
            return sign != "\n"
        same = chr(argument) == sign or (ignore and chr(argument).lower() == sign.lower())
        return bool(same) == (str(op) == "LITERAL")

    def _is_in(self, item: Any, sign: str) -> bool:
        op, argument = item
        if str(op) == "LITERAL":
            return chr(argument) == sign
        if str(op) == "RANGE":
            return bool(argument[0] <= ord(sign) <= argument[1])
        name = str(argument).removeprefix("CATEGORY_")
        found = {
            "DIGIT": sign.isdecimal(),
            "SPACE": sign.isspace(),
            "WORD": sign.isalnum() or sign == "_",
        }[name.removeprefix("NOT_")]
        return found != name.startswith("NOT_")

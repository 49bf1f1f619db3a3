"""One comparison on plain values, as Navidrome's SQLite makes it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

Plain = str | int | float | None
Test = Callable[[Any], bool]  # of a Plain

_PATTERNS = {"contains": "%{}%", "startsWith": "{}%", "endsWith": "%{}"}


def comparison(operator: str, value: Any) -> Test:
    """Whether a value satisfies `operator value`; None (no value) satisfies nothing. Negations are not known here."""
    if operator in _PATTERNS:
        matches = like(_PATTERNS[operator].format(value))
        return lambda x: x is not None and matches(str(x))
    if isinstance(value, tuple):
        low, high = value
        return lambda x: x is not None and low <= x <= high
    tests: dict[str, Test] = {
        "is": lambda x: x == value,
        "isNot": lambda x: x is not None and x != value,
        "gt": lambda x: x is not None and x > value,
        "lt": lambda x: x is not None and x < value,
        "isPresent": lambda x: x is not None,
        "isMissing": lambda x: x is None,
    }
    return tests[operator]


def like(pattern: str) -> Callable[[str], bool]:
    """SQLite's LIKE without ESCAPE: `%` for any text, `_` for any character, A to Z in either case.

    Piece by piece, because a regular expression with many stars may take forever.
    """
    first, *others = (re.compile(_piece(text), re.IGNORECASE | re.ASCII | re.DOTALL) for text in pattern.split("%"))

    def matches(text: str) -> bool:
        if not others:
            return first.fullmatch(text) is not None
        found = first.match(text)
        for piece in others[:-1]:
            if found is None:
                return False
            found = piece.search(text, found.end())
        last = len(text) - len(pattern.rpartition("%")[2])
        return found is not None and last >= found.end() and others[-1].match(text, last) is not None

    return matches


def _piece(text: str) -> str:
    return "".join("." if character == "_" else re.escape(character) for character in text)

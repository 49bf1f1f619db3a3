"""Foreign JSON, read without trusting it: each fact is of the kind that was asked for, or nothing is."""

from __future__ import annotations

import json
from typing import Any

from nomarr.errors import NavidromeProblem

LONGEST_TEXT = 10_000  # characters
LARGEST_NUMBER = 2**53  # up to which JSON's numbers are exact


class Facts:
    """A JSON object about something; NavidromeProblem where it, or what is asked of it, is of another form."""

    def __init__(self, value: object, about: str) -> None:
        self.about = about
        if not isinstance(value, dict):
            raise self._odd()
        self.all: dict[str, Any] = value

    def text(self, name: str) -> str:
        """As a database can keep it; "" where it says nothing."""
        value = self.all.get(name)
        if value is None:
            return ""
        if isinstance(value, bool) or not isinstance(value, str | int):
            raise self._odd(name)
        return clean(str(value))

    def id(self, name: str = "id") -> str:
        """A text that is there."""
        found = self.text(name)
        if not found:
            raise self._odd(name)
        return found

    def number(self, name: str) -> float:
        """0 where it says nothing."""
        value = self.all.get(name) or 0
        if not isinstance(value, int | float) or abs(value) > LARGEST_NUMBER:
            raise self._odd(name)
        return float(value)

    def whole(self, name: str) -> int:
        return int(self.number(name))

    def inner(self, name: str) -> Facts:
        """Empty where it says nothing."""
        return Facts(self.all.get(name) or {}, self.about)

    def lists(self, name: str) -> dict[str, list[str]]:
        """Names, each with its values; empty where it says nothing."""
        found = {}
        for key, values in self.inner(name).all.items():
            if not isinstance(values, list):
                raise self._odd(name)
            found[clean(key)] = [clean(str(value)) for value in values]
        return found

    def _odd(self, name: str = "") -> NavidromeProblem:
        where = f" ({name})" if name else ""
        return NavidromeProblem(
            f"Navidrome's answer about {self.about} is not of the form that Nomarr knows{where}", kind="trouble"
        )


def read_json(content: bytes) -> Any:
    """ValueError for what is no JSON, NaN and Infinity included."""
    try:
        return json.loads(content.decode("utf-8", "replace"), parse_constant=_refuse)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def clean(text: str, longest: int = LONGEST_TEXT) -> str:
    """Without what no database keeps, and no longer than this."""
    return text[:longest].replace("\0", "").encode("utf-8", "replace").decode()


def sentence(text: str) -> str:
    """What somebody else says, as a part of a sentence of ours."""
    words = " ".join(clean(text, 1000).split())[:200]
    return "".join(character if character.isprintable() else "?" for character in words)


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is no number")

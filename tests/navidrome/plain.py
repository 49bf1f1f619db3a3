"""Rules over one track in plain Python: what they mean, without any database."""

from __future__ import annotations

import string
from typing import Any

from nomarr.navidrome.rules import AllOf, AnyOf, Node, Not, Rule

from .world import COLUMN, ROLES, View

LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)


def holds(node: Node, view: View) -> bool:
    match node:
        case AllOf(parts):
            return all(holds(part, view) for part in parts)
        case AnyOf(parts):
            return any(holds(part, view) for part in parts)
        case Not(part):
            return not holds(part, view)
        case Rule():
            return _rule(node, view)


def _rule(rule: Rule, view: View) -> bool:
    field, operator, value = rule.field, rule.operator, rule.value
    if operator in ("isMissing", "isPresent"):
        is_missing = not any(v not in (None, "") for v in _values(rule, view))
        return is_missing == ((operator == "isMissing") == value)
    if field.kind == "score" and isinstance(value, bool):
        carries = field.mood in view.tags.get("nom_mood_loose", ())
        return carries == (value == (operator == "is"))
    if operator in ("isNot", "notContains") and field.kind in ("tag", "role", "words", "score"):
        positive = {"isNot": "is", "notContains": "contains"}[operator]
        return not any(_compare(positive, one, value) for one in _values(rule, view))
    return any(one is not None and _compare(operator, one, value) for one in _values(rule, view))


def _values(rule: Rule, view: View) -> list[Any]:
    name = rule.field.navidrome
    if rule.field.kind == "score":
        return [float(v) for v in view.tags.get(name, ())]
    if name in ROLES:
        return list(view.roles.get(name, ()))
    if COLUMN.get(name, name) in view.columns:
        return [view.columns[COLUMN.get(name, name)]]
    return list(view.tags.get(name, ()))


def _compare(operator: str, one: Any, value: Any) -> bool:
    match operator:
        case "is":
            return one == value
        case "isNot":
            return one != value
        case "gt":
            return one > value
        case "ge":
            return one >= value
        case "lt":
            return one < value
        case "le":
            return one <= value
        case "inTheRange":
            return value[0] <= one <= value[1]
        case "contains":
            return like(str(one), f"%{value}%")
        case "notContains":
            return not like(str(one), f"%{value}%")
        case "startsWith":
            return like(str(one), f"{value}%")
        case "endsWith":
            return like(str(one), f"%{value}")
    raise AssertionError(operator)


def like(text: str, pattern: str) -> bool:
    """By the table of all beginnings: slow and plain."""
    text, pattern = text.translate(LOWER), pattern.translate(LOWER)
    row = [True] + [False] * len(text)
    for sign in pattern:
        new = [sign == "%" and row[0]]
        for at, character in enumerate(text):
            fits = row[at + 1] or new[at] if sign == "%" else row[at] and sign in ("_", character)
            new.append(fits)
        row = new
    return row[-1]

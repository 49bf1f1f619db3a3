"""A playlist's rules as a tree: what queries and .nsp files are read into, and what both are made from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from nomarr.errors import InvalidInput
from nomarr.navidrome.fields import Field

Number = int | float
Value = str | int | float | bool | tuple[str, str] | tuple[Number, Number]

DEEPEST = 32
MOST_RULES = 400  # SQLite, here as in Navidrome, takes a thousand alternatives in a row; a rule may need two


@dataclass(frozen=True)
class Rule:
    """One comparison; `operator` and `value` fit the field (see checks.make_rule)."""

    field: Field
    operator: str
    value: Value


@dataclass(frozen=True)
class AllOf:
    parts: tuple[Node, ...]


@dataclass(frozen=True)
class AnyOf:
    parts: tuple[Node, ...]


@dataclass(frozen=True)
class Not:
    part: Node


Node = Rule | AllOf | AnyOf | Not


def rules_in(node: Node) -> Iterator[Rule]:
    """Every rule of the tree, from left to right."""
    match node:
        case Rule():
            yield node
        case Not(part):
            yield from rules_in(part)
        case AllOf(parts) | AnyOf(parts):
            for part in parts:
                yield from rules_in(part)


def joined(kind: type[AllOf] | type[AnyOf], parts: list[Node]) -> Node:
    """The parts as one group; groups of the same kind among them are opened, a single part stays itself."""
    opened: list[Node] = []
    for part in parts:
        opened.extend(part.parts if isinstance(part, kind) else (part,))
    return opened[0] if len(opened) == 1 else kind(tuple(opened))


def check_size(node: Node) -> None:
    if sum(1 for _ in rules_in(node)) > MOST_RULES:
        raise InvalidInput(f"A playlist can have at most {MOST_RULES} rules")

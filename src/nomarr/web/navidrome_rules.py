"""What builders of queries need: the fields there are, and a query taken apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from fastapi import APIRouter, Depends, Request

from nomarr.moods.tiers import MOODS
from nomarr.navidrome.checks import operators_of
from nomarr.navidrome.fields import Field, Kind
from nomarr.navidrome.query import to_text
from nomarr.navidrome.rules import AllOf, AnyOf, Node, Not, Rule
from nomarr.navidrome.sounds import Sounds
from nomarr.settings import Settings
from nomarr.web.answers import example, problems
from nomarr.web.auth import needs, require_login
from nomarr.web.context import UseDatabase, UseSettings
from nomarr.web.navidrome import Rules, ground_of

router = APIRouter(prefix="/api/web/navidrome", tags=["navidrome"], dependencies=[Depends(require_login)])

Match = Literal["all", "any", "none"]


@dataclass(frozen=True)
class FieldAnswer:
    """A field of queries. `known`: `here`; `not_yet`, where no track has been heard with it; or only to `navidrome`.

    `values` are the mood words of fields that hold some. A score with a `mood` can also be asked whether it is true:
    whether the track has that word.
    """

    name: str
    kind: Kind
    operators: tuple[str, ...]
    known: Literal["here", "not_yet", "navidrome"]
    has_order: bool
    mood: str
    values: list[str]


@dataclass(frozen=True)
class RuleAnswer:
    """One comparison; a range has two values."""

    field: str
    operator: str
    value: str | int | float | bool | list[str] | list[int | float]


@dataclass(frozen=True)
class GroupAnswer:
    """Rules and groups of which all, any or none must hold."""

    match: Match
    parts: list[RuleAnswer | GroupAnswer]


@dataclass(frozen=True)
class TreeAnswer:
    """`query` is the text as it was given, or as the rules say it; the others are what a playlist says beside them."""

    query: str
    tree: GroupAnswer
    sort: str
    limit: int
    name: str
    comment: str


DANCEABILITY = {
    "name": "nom:danceability",
    "kind": "score",
    "operators": ["is", "isNot", "gt", "lt", "ge", "le", "inTheRange", "isMissing", "isPresent"],
    "known": "here",
    "has_order": True,
    "mood": "",
    "values": [],
}
TREE = {
    "match": "all",
    "parts": [
        {"field": "nom:danceability", "operator": "gt", "value": 0.7},
        {"match": "none", "parts": [{"field": "year", "operator": "lt", "value": 1990}]},
    ],
}
BESIDE = {"sort": "-year,title", "limit": 500, "name": "", "comment": ""}


@router.get(
    "/fields",
    summary="What a query can ask about",
    responses=example([DANCEABILITY]) | problems(401, 503),
)
def list_fields(request: Request, db: UseDatabase, settings: UseSettings) -> list[FieldAnswer]:
    with ground_of(request, db, settings, None) as ground:
        return [_field(field, settings, ground.sounds) for field in ground.fields.every()]


@router.post(
    "/parse",
    summary="A query as a tree",
    responses=example({"query": "nom:danceability > 0.7 AND NOT year < 1990", "tree": TREE, **BESIDE})
    | problems(400, 401, 403, 413, 503),
)
@needs("read")
def parse_query(request: Request, body: Rules, db: UseDatabase, settings: UseSettings) -> TreeAnswer:
    """What cannot be read is a 400 that begins with the place, as in `column 19: ...`, counted in characters from 1."""
    with ground_of(request, db, settings, None) as ground:
        playlist = body.playlist(ground.fields)
    tree = _tree(playlist.rules)
    return TreeAnswer(
        query=body.query or to_text(playlist.rules),
        tree=tree if isinstance(tree, GroupAnswer) else GroupAnswer("all", [tree]),
        sort=",".join(("-" if order.descending else "") + order.field.name for order in playlist.sort),
        limit=playlist.limit,
        name=playlist.name,
        comment=playlist.comment,
    )


def _field(field: Field, settings: Settings, sounds: Sounds) -> FieldAnswer:
    return FieldAnswer(
        name=field.name,
        kind=field.kind,
        operators=operators_of(field),
        known=_known(field, settings, sounds),
        has_order=field.has_order,
        mood=field.mood,
        values=sorted(mood.word for mood in MOODS) if field.kind == "words" else [],
    )


def _known(field: Field, settings: Settings, sounds: Sounds) -> Literal["here", "not_yet", "navidrome"]:
    if field.source == "score" and field.name.removeprefix(f"{settings.namespace}:") not in sounds.scores:
        return "not_yet"
    return "here" if field.source or field.kind == "random" else "navidrome"


def _tree(node: Node) -> RuleAnswer | GroupAnswer:
    match node:
        case Rule(field, operator, value):
            return RuleAnswer(field.name, operator, list(value) if isinstance(value, tuple) else value)  # type: ignore[arg-type]
        case AllOf(parts):
            return GroupAnswer("all", [_tree(part) for part in parts])
        case AnyOf(parts):
            return GroupAnswer("any", [_tree(part) for part in parts])
        case Not(AnyOf(parts)):
            return GroupAnswer("none", [_tree(part) for part in parts])
        case Not(part):
            return GroupAnswer("none", [_tree(part)])

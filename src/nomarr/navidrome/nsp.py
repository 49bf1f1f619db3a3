"""Smart playlists as Navidrome's .nsp files hold them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nomarr.errors import InvalidInput
from nomarr.navidrome.checks import BY_LOWER_CASE, MISSING, PLAYLIST, make_rule
from nomarr.navidrome.fields import Field, Fields
from nomarr.navidrome.lowering import lower
from nomarr.navidrome.rules import DEEPEST, AllOf, AnyOf, Node, Rule, check_size, joined, rules_in

LARGEST = 100 * 1024  # bytes; Navidrome reads no further
MOST_TRACKS = 1_000_000
MOST_SORT_FIELDS = 10
_DELAY = re.compile(r"([0-9]{1,6}(\.[0-9]{1,3})?(ms|s|m|h|d|w))+")
_KINDS: dict[str, type[AllOf] | type[AnyOf]] = {"all": AllOf, "any": AnyOf}


@dataclass(frozen=True)
class Order:
    """A field to sort by."""

    field: Field
    descending: bool = False


@dataclass(frozen=True)
class Playlist:
    """A smart playlist. Without `sort` Navidrome sorts by title; a limit of 0 is none, and wins over a percentage."""

    rules: Node
    name: str = ""
    comment: str = ""
    sort: tuple[Order, ...] = ()
    limit: int = 0
    limit_percent: int = 0
    offset: int = 0
    public: bool | None = None
    refresh_delay: str = ""

    def listed(self, matching: int) -> int:
        """How many of the matching tracks Navidrome lists."""
        limit = self.limit_of(matching)
        return matching if limit == 0 else max(0, min(limit, matching - self.offset))

    def limit_of(self, matching: int) -> int:
        if self.limit == 0 and self.limit_percent > 0:
            return max(1, matching * self.limit_percent // 100)
        return self.limit


def to_json(playlist: Playlist, fields: Fields) -> dict[str, Any]:
    """The playlist as an .nsp object. InvalidInput where Navidrome cannot express its rules."""
    made: dict[str, Any] = {"name": playlist.name} if playlist.name else {}
    if playlist.comment:
        made["comment"] = playlist.comment
    if playlist.public is not None:
        made["public"] = playlist.public
    rules = lower(playlist.rules, fields)
    made.update(_group(rules) if isinstance(rules, AllOf | AnyOf) else {"all": [_rule(rules)]})
    if playlist.sort:
        made["sort"] = ",".join(("-" if o.descending else "") + o.field.navidrome for o in playlist.sort)
    numbers = {"limit": playlist.limit, "limitPercent": playlist.limit_percent, "offset": playlist.offset}
    made.update({name: number for name, number in numbers.items() if number})
    if playlist.refresh_delay:
        made["refreshDelay"] = playlist.refresh_delay
    return made


def to_text(playlist: Playlist, fields: Fields) -> str:
    """The content of an .nsp file."""
    text = json.dumps(to_json(playlist, fields), indent=2, ensure_ascii=False)
    if len(text.encode()) > LARGEST:
        raise InvalidInput("The playlist is larger than 100 KiB, which is as far as Navidrome reads")
    return text


def from_json(given: Mapping[str, Any], fields: Fields) -> Playlist:
    """The playlist that an .nsp object describes. InvalidInput for all that Navidrome would refuse or get wrong."""
    known = {key.lower(): value for key, value in given.items()}
    groups = [name for name in _KINDS if name in known]
    if len(groups) != 1:
        raise InvalidInput('rules: needs either "all" or "any", and not both')
    rules = _read_group(groups[0], known[groups[0]], fields, depth=1)
    check_size(rules)
    order = str(known.get("order") or "").strip().lower()
    if order not in ("", "asc", "desc"):
        raise InvalidInput('rules: "order" is either asc or desc')
    return Playlist(
        rules=rules,
        name=_string(known, "name"),
        comment=_string(known, "comment"),
        sort=read_sort(_string(known, "sort"), fields, inverted=order == "desc"),
        limit=_count(known, "limit", MOST_TRACKS),
        limit_percent=_count(known, "limitPercent", 100),
        offset=_count(known, "offset", MOST_TRACKS),
        public=known["public"] if isinstance(known.get("public"), bool) else None,
        refresh_delay=_delay(known),
    )


def read_sort(text: str, fields: Fields, *, inverted: bool = False) -> tuple[Order, ...]:
    """`-year,title` as fields to sort by; none for an empty text, unless it is inverted."""
    found = []
    for part in filter(None, map(str.strip, text.split(","))):
        name = part.lstrip("+-") if part[0] in "+-" else part
        field = _of("sort", fields, name.strip())
        if not field.has_order:
            raise InvalidInput(f"sort: {field.name} has no order")
        found.append(Order(field, (part[0] == "-") != inverted))
    if len(found) > MOST_SORT_FIELDS:
        raise InvalidInput(f"sort: at most {MOST_SORT_FIELDS} fields")
    return tuple(found) or ((Order(fields.find("title"), True),) if inverted else ())


def needed_version(playlist: Playlist, fields: Fields) -> str:
    """The oldest Navidrome that reads the playlist as it is meant."""
    rules = list(rules_in(lower(playlist.rules, fields)))
    if any(rule.operator in MISSING for rule in rules):
        return "0.62.0"
    newer = {"averagerating", "codec", "samplerate", "missing"}
    asked = {rule.field.navidrome for rule in rules}
    if (
        playlist.limit_percent
        or asked & newer
        or any(name.startswith(("albumr", "albuml", "albump")) for name in asked)
    ):
        return "0.61.0"
    return "0.58.0"  # the first since 0.55 in which custom tags work throughout


def _group(node: AllOf | AnyOf) -> dict[str, Any]:
    parts = [_group(part) if isinstance(part, AllOf | AnyOf) else _rule(part) for part in node.parts]
    return {"all" if isinstance(node, AllOf) else "any": parts}


def _rule(node: Node) -> dict[str, Any]:
    assert isinstance(node, Rule)  # noqa: S101 (lowering leaves no NOT)
    value = list(node.value) if isinstance(node.value, tuple) else node.value
    return {node.operator: {node.field.navidrome: value}}


def _read_group(name: str, given: object, fields: Fields, *, depth: int) -> Node:
    if depth > DEEPEST:
        raise InvalidInput(f"rules: nested more than {DEEPEST} deep")
    if not isinstance(given, list) or not given:
        raise InvalidInput(f'rules: "{name}" needs a list with at least one rule')
    parts: list[Node] = []
    for item in given:
        if not isinstance(item, dict) or not item:
            raise InvalidInput(f'rules: "{name}" holds something that is not a rule')
        parts.extend(_read_rule(str(key), value, fields, depth=depth) for key, value in item.items())
    return joined(_KINDS[name], parts)


def _read_rule(key: str, given: object, fields: Fields, *, depth: int) -> Node:
    if key.lower() in _KINDS:
        return _read_group(key.lower(), given, fields, depth=depth + 1)
    operator = BY_LOWER_CASE.get(key.lower())
    if operator is None or operator in ("ge", "le"):
        raise InvalidInput(f'rules: Navidrome has no operator "{key[:40]}"')
    if not isinstance(given, dict) or len(given) != 1:
        raise InvalidInput(f"rules: {operator} needs exactly one field")
    ((name, value),) = given.items()
    field = _of("rules", fields, str(name))
    if (field.kind == "playlist") != (operator in PLAYLIST):
        raise InvalidInput(f'rules: {operator} needs {{"id": ...}}, the identifier of a playlist')
    if isinstance(value, bool) and field.kind == "score" and ":" not in name and operator not in MISSING:
        raise InvalidInput(f"rules: {name} is a number; for the mood ask for {fields.words().navidrome}")
    if isinstance(value, list) and operator in ("is", "isNot") and value:
        kind = AnyOf if operator == "is" else AllOf
        return joined(kind, [_made(field, operator, one) for one in value])
    return _made(field, operator, value)


def _made(field: Field, operator: str, value: object) -> Node:
    try:
        return make_rule(field, operator, value)
    except InvalidInput as error:
        raise InvalidInput(f"rules: {field.navidrome}: {error}") from error


def _of(place: str, fields: Fields, name: str) -> Field:
    try:
        return fields.find(name)
    except InvalidInput as error:
        raise InvalidInput(f"{place}: {error}") from error


def _string(known: Mapping[str, Any], name: str) -> str:
    value = known.get(name)
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else ""


def _count(known: Mapping[str, Any], name: str, most: int) -> int:
    value = known.get(name.lower(), 0)
    if type(value) is not int or not 0 <= value <= most:
        raise InvalidInput(f'rules: "{name}" is a number from 0 to {most}')
    return value


def _delay(known: Mapping[str, Any]) -> str:
    value = known.get("refreshdelay", "")
    if not isinstance(value, str) or (value and not _DELAY.fullmatch(value)):
        raise InvalidInput('rules: "refreshDelay" is a time such as 30m, 12h or 1d')
    return value

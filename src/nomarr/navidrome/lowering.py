"""A tree of rules -> the same question in only those words that Navidrome has.

Navidrome knows no NOT, no >= and <=, and no range on tags. What it cannot say in any way is refused here, so that a
playlist never holds other tracks than its query asks for.
"""

from __future__ import annotations

from dataclasses import replace

from nomarr.errors import InvalidInput
from nomarr.navidrome.checks import EQUAL, LIKE, MISSING, PERIOD
from nomarr.navidrome.fields import MANY_VALUED, Fields
from nomarr.navidrome.rules import AllOf, AnyOf, Node, Not, Rule, joined

_OPPOSITES = {
    "is": "isNot",
    "contains": "notContains",
    "inTheLast": "notInTheLast",
    "inPlaylist": "notInPlaylist",
    "gt": "le",
    "lt": "ge",
    "isMissing": "isPresent",
}
OPPOSITES = _OPPOSITES | {other: operator for operator, other in _OPPOSITES.items()}
_OR_EQUAL = {"ge": "gt", "le": "lt"}


def lower(node: Node, fields: Fields) -> Node:
    """The tree without NOT, `ge`, `le` and ranges on scores. InvalidInput says what Navidrome cannot express."""
    return _lower(node, fields, negated=False)


def _lower(node: Node, fields: Fields, *, negated: bool) -> Node:
    match node:
        case Not(part):
            return _lower(part, fields, negated=not negated)
        case AllOf(parts) | AnyOf(parts):
            kind = AllOf if isinstance(node, AllOf) != negated else AnyOf
            return joined(kind, [_lower(part, fields, negated=negated) for part in parts])
        case Rule():
            return _lower_rule(_as_words(node, fields), negated=negated)


def _as_words(rule: Rule, fields: Fields) -> Rule:
    """`nom:mood_happy is true` asks for a word, not for a score."""
    if rule.field.kind != "score" or not isinstance(rule.value, bool) or rule.operator in MISSING:
        return rule
    is_wanted = rule.value == (rule.operator == "is")
    return Rule(fields.words(), "is" if is_wanted else "isNot", rule.field.mood)


def _lower_rule(rule: Rule, *, negated: bool) -> Node:
    field = rule.field
    if isinstance(rule.value, bool):
        return _lower_flag(rule, negated=negated)
    if rule.operator == "inTheRange":
        return _lower_range(rule, negated=negated)
    if not negated:
        return _or_equal(rule)
    if rule.operator not in OPPOSITES:
        raise InvalidInput(f"Navidrome cannot say that {field.name} does not match {rule.operator}")
    if field.kind in MANY_VALUED and rule.operator not in (*EQUAL, *LIKE):
        raise InvalidInput(f"Navidrome cannot say that no {field.name} lies there; compare it without NOT")
    return _or_missing(rule, _or_equal(replace(rule, operator=OPPOSITES[rule.operator])))


def _lower_flag(rule: Rule, *, negated: bool) -> Rule:
    if rule.operator in MISSING:
        is_turned = (rule.value is False) != negated
        return Rule(rule.field, OPPOSITES[rule.operator] if is_turned else rule.operator, True)
    return Rule(rule.field, "is", (rule.value is (rule.operator == "is")) != negated)


def _lower_range(rule: Rule, *, negated: bool) -> Node:
    assert isinstance(rule.value, tuple)  # noqa: S101 (checked when the rule was made)
    low, high = rule.value
    if negated:
        outside: list[Node] = [Rule(rule.field, "lt", low), Rule(rule.field, "gt", high)]
        return _or_missing(rule, joined(AnyOf, outside))
    if rule.field.kind != "score":
        return rule
    return joined(AllOf, [_or_equal(Rule(rule.field, "ge", low)), _or_equal(Rule(rule.field, "le", high))])


def _or_equal(rule: Rule) -> Node:
    if rule.operator not in _OR_EQUAL:
        return rule
    return AnyOf((replace(rule, operator=_OR_EQUAL[rule.operator]), replace(rule, operator="is")))


def _or_missing(rule: Rule, opposite: Node) -> Node:
    """A track without a value satisfies no comparison, and so belongs to the opposite of any."""
    field = rule.field
    is_score = field.kind == "score" and rule.operator not in EQUAL
    if not (is_score or field.nullable) or rule.operator in PERIOD:
        return opposite
    if not field.can_miss:
        raise InvalidInput(f"Navidrome cannot say NOT of {field.name}, which may be missing; ask without NOT")
    return joined(AnyOf, [opposite, Rule(field, "isMissing", True)])

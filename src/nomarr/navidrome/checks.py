"""Which operator takes which value on which field, by what Navidrome can say."""

from __future__ import annotations

import re
from datetime import date

from nomarr.errors import InvalidInput
from nomarr.navidrome.fields import TEXTS, Field
from nomarr.navidrome.rules import Number, Rule, Value

EQUAL = ("is", "isNot")
ORDER = ("gt", "lt", "ge", "le")
LIKE = ("contains", "notContains", "startsWith", "endsWith")
PERIOD = ("inTheLast", "notInTheLast")
MISSING = ("isMissing", "isPresent")
PLAYLIST = ("inPlaylist", "notInPlaylist")
OPERATORS = (*EQUAL, *ORDER, *LIKE, "inTheRange", "before", "after", *PERIOD, *MISSING, *PLAYLIST)
BY_LOWER_CASE = {operator.lower(): operator for operator in OPERATORS}
SIGNS = {"=": "is", "!=": "isNot", ">": "gt", "<": "lt", ">=": "ge", "<=": "le"}
PLAIN_SIGNS = {"gt": ">", "lt": "<", "ge": ">=", "le": "<="}

_BY_KIND = {
    "text": (*EQUAL, *ORDER, *LIKE, "inTheRange"),
    "number": (*EQUAL, *ORDER, "inTheRange"),
    "date": (*EQUAL, *ORDER, *LIKE, "inTheRange", *PERIOD),
    "flag": EQUAL,
    "tag": (*EQUAL, *ORDER, *LIKE),
    "role": (*EQUAL, *ORDER, *LIKE),
    "words": (*EQUAL, *ORDER, *LIKE),
    "score": (*EQUAL, *ORDER, "inTheRange"),
    "playlist": PLAYLIST,
    "random": (),
}
_WHAT = {"text": "a text", "number": "a number", "date": "a date", "flag": "true or false", "score": "a score"}
_TRUE, _FALSE = ("true", "t", "1"), ("false", "f", "0")
_NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,3})?")
_DATE = re.compile(r"[0-9]{4}(-[0-9]{2}(-[0-9]{2})?)?")
_LARGEST = 2**53  # as far as JSON's numbers are exact
_LONGEST_PERIOD = 36_500  # days; Navidrome counts them in nanoseconds
_LONGEST_TEXT = 500  # as much of a tag's value as is kept


def make_rule(field: Field, operator: str, given: object) -> Rule:
    """The rule with its value as the field takes it; InvalidInput where Navidrome has no such rule."""
    operator = {"before": "lt", "after": "gt"}.get(operator, operator)
    if operator in MISSING:
        return Rule(field, operator, _missing(field, operator, given))
    if operator not in _BY_KIND[field.kind]:
        raise InvalidInput(_no_operator(field, operator))
    if operator in LIKE:
        return Rule(field, operator, _text(given))
    if operator in PERIOD:
        return Rule(field, operator, _days(given))
    if operator == "inTheRange":
        return Rule(field, operator, _range(field, given))
    return Rule(field, operator, _value(field, operator, given))


def operators_of(field: Field) -> tuple[str, ...]:
    """Those that work on the field, as a rule's `operator` names them."""
    of_kind = EQUAL if field.kind != field.source == "words" else _BY_KIND[field.kind]
    return of_kind + (MISSING if field.can_miss else ())


def is_true(given: object) -> bool | None:
    """True or false in any of the forms that Navidrome takes; None for anything else."""
    if isinstance(given, bool):
        return given
    text = str(given).lower()
    return True if text in _TRUE else False if text in _FALSE else None


def _value(field: Field, operator: str, given: object) -> Value:
    if field.kind == "flag":
        flag = is_true(given)
        if flag is None:
            raise InvalidInput(f"{field.name} is either true or false")
        return flag
    if field.kind == "score":
        return _score(field, operator, given)
    return _one(field, given)


def _one(field: Field, given: object) -> str | int | float:
    if field.kind in ("number", "score"):
        if field.kind != field.source == "words":
            raise InvalidInput(f"{field.name} has no score here; ask whether it is true or false")
        return _number(field, given)
    return _date(field, given) if field.kind == "date" else _text(given)


def _score(field: Field, operator: str, given: object) -> Value:
    is_word = isinstance(given, bool) or str(given).lower() in ("true", "false")
    if is_word and operator in EQUAL:
        if not field.mood:
            raise InvalidInput(f"{field.name} is a score from 0 to 1; compare it with a number")
        return is_true(given) is True
    return _one(field, given)


def _number(field: Field, given: object) -> Number:
    number: Number | None = None
    if isinstance(given, int | float) and not isinstance(given, bool):
        number = given
    elif isinstance(given, str) and _NUMBER.fullmatch(given):
        number = int(given) if re.fullmatch(r"[+-]?[0-9]{1,17}", given) else float(given)
    if number is None or not abs(number) <= _LARGEST:
        raise InvalidInput(f"{field.name} takes a number")
    return int(number) if number == int(number) else number


def _date(field: Field, given: object) -> str:
    text = given if isinstance(given, str) else str(given) if type(given) is int else ""
    if not _DATE.fullmatch(text):
        raise InvalidInput(f"{field.name} takes a date such as 2024-12-31, 2024-12 or 2024")
    try:
        date.fromisoformat(text + "-01-01"[len(text) - 4 :])
    except ValueError as error:
        raise InvalidInput(f"{text} is not a day of the calendar") from error
    return text


def _text(given: object) -> str:
    if not isinstance(given, str):
        raise InvalidInput("a text is compared with a text")
    if not given:
        raise InvalidInput("an empty text says nothing; ask with isMissing or isPresent")
    if len(given) > _LONGEST_TEXT:
        raise InvalidInput(f"a text can have at most {_LONGEST_TEXT} characters")
    if any(c == "\0" or "\ud800" <= c <= "\udfff" for c in given):
        raise InvalidInput("a text cannot hold NUL characters or halves of characters")
    return given


def _days(given: object) -> int:
    text = str(given)
    if isinstance(given, bool) or not re.fullmatch(r"[0-9]{1,6}", text) or int(text) > _LONGEST_PERIOD:
        raise InvalidInput(f"it takes a number of days, 0 to {_LONGEST_PERIOD}")
    return int(text)


def _range(field: Field, given: object) -> Value:
    if not isinstance(given, list | tuple) or len(given) != 2:
        raise InvalidInput("inTheRange takes two values, [lowest, highest]")
    low, high = (_one(field, end) for end in given)
    return (low, high)  # type: ignore[return-value]


def _missing(field: Field, operator: str, given: object) -> bool:
    if not field.can_miss:
        raise InvalidInput(f"Navidrome has no {operator} for {field.name}")
    flag = is_true(given)
    if flag is None:
        raise InvalidInput(f"{operator} takes true or false")
    return flag


def _no_operator(field: Field, operator: str) -> str:
    name = PLAIN_SIGNS.get(operator, operator)
    if operator == "inTheRange":
        return f"Navidrome has no range for {field.name}, which can have several values"
    allowed = _BY_KIND[field.kind] + (MISSING if field.can_miss else ())
    known = ", ".join(PLAIN_SIGNS.get(one, one) for one in allowed)
    what = _WHAT.get(field.kind, "a text" if field.kind in TEXTS else "no field of files")
    return f"{field.name} is {what}, which {name} does not work on" + (f"; use {known}" if known else "")

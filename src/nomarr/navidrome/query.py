"""The text of a query <-> a tree of rules.

query  := all {OR all}
all    := term {AND term}
term   := NOT term | "(" query ")" | rule
rule   := field operator [value]
value  := word | "quoted" | "[" word "," word "]" | word..word
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

from nomarr.errors import InvalidInput
from nomarr.navidrome.checks import BY_LOWER_CASE, MISSING, PLAIN_SIGNS, PLAYLIST, SIGNS, make_rule
from nomarr.navidrome.fields import Fields
from nomarr.navidrome.rules import DEEPEST, AllOf, AnyOf, Node, Not, Rule, check_size, joined

LONGEST = 10_000  # characters
_TOKEN = re.compile(
    r"""\s+ | (?P<quoted>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*') | (?P<sign>>=|<=|!=|=|>|<)
      | (?P<mark>[()\[\],]) | (?P<word>[^\s()\[\],"'=<>!]+)""",
    re.VERBOSE | re.DOTALL,
)
_KEYWORDS = ("and", "or", "not")

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True)
class _Token:
    kind: str  # quoted, sign, mark, word, end
    text: str  # as it was written
    column: int  # from 1

    @property
    def keyword(self) -> str:
        lower = self.text.lower()
        return lower if self.kind == "word" and lower in _KEYWORDS else ""

    @property
    def value(self) -> str:
        return re.sub(r"\\(.)", r"\1", self.text[1:-1], flags=re.DOTALL) if self.kind == "quoted" else self.text


def parse(text: str, fields: Fields) -> Node:
    """The query as a tree. InvalidInput says where it cannot be read, and why."""
    if len(text) > LONGEST:
        raise InvalidInput(f"The query has {len(text)} characters; at most {LONGEST} are read")
    reader = _Reader(list(_tokens(text)), fields)
    node = reader.query()
    if reader.next.kind != "end":
        hint = "; a value of several words needs quotes" if reader.next.kind == "word" else ""
        raise _error(reader.next, f"expected AND, OR or the end{hint}")
    check_size(node)
    return node


def to_text(node: Node) -> str:
    """A query that reads back as the same tree."""
    match node:
        case Rule():
            return _rule_text(node)
        case Not(part):
            return f"NOT {_inside(part, AllOf, AnyOf)}"
        case AllOf(parts):
            return " AND ".join(_inside(part, AllOf, AnyOf) for part in parts)
        case AnyOf(parts):
            return " OR ".join(_inside(part, AnyOf) for part in parts)


class _Reader:
    """Walks over the tokens; each method reads one kind of phrase."""

    def __init__(self, tokens: list[_Token], fields: Fields) -> None:
        self.tokens = tokens
        self.fields = fields
        self.at = 0
        self.depth = 0

    @property
    def next(self) -> _Token:
        return self.tokens[self.at]

    def take(self) -> _Token:
        token = self.next
        self.at += token.kind != "end"
        return token

    def query(self) -> Node:
        parts = [self.all()]
        while self.next.keyword == "or":
            self.take()
            parts.append(self.all())
        return joined(AnyOf, parts)

    def all(self) -> Node:
        parts = [self.term()]
        while self.next.keyword == "and":
            self.take()
            parts.append(self.term())
        return joined(AllOf, parts)

    def term(self) -> Node:
        if self.next.keyword != "not" and self.next.text != "(":
            return self.rule()
        opening = self.take()
        self.depth += 1
        if self.depth > DEEPEST:
            raise _error(opening, f"it is nested more than {DEEPEST} deep")
        if opening.keyword == "not":
            node: Node = Not(self.term())
        else:
            node = self.query()
            if self.next.text != ")":
                raise _error(self.next, f'expected ")" for the "(" at column {opening.column}')
            self.take()
        self.depth -= 1
        return node

    def rule(self) -> Node:
        token = self.take()
        if token.kind != "word" or token.keyword:
            raise _error(token, "expected a field")
        if BY_LOWER_CASE.get(token.text.lower()) in PLAYLIST:
            self.at -= 1
            field = self.fields.find("id")
        else:
            field = _explained(token, self.fields.find, token.text)
        place = self.next
        operator, said = self.operator(token.text)
        if operator in MISSING:
            is_given = self.next.kind == "word" and self.next.text.lower() in ("true", "false")
            given: object = self.take().text if is_given else "true"
        elif operator == "inTheRange":
            place = self.next
            given = self.range()
        else:
            place = self.next if field.kind != "playlist" else place
            given = self.value(said)
        return _explained(place, make_rule, field, operator, given)

    def operator(self, after: str) -> tuple[str, str]:
        """The operator, and how it was written."""
        token = self.take()
        operator = SIGNS.get(token.text) if token.kind == "sign" else None
        if token.kind == "word":
            operator = BY_LOWER_CASE.get(token.text.lower())
        if operator is None:
            raise _error(token, f'expected an operator after "{_short(after)}"')
        if operator == "is" and self.next.keyword == "not":
            self.take()
            return "isNot", "is not"
        return operator, token.text

    def value(self, after: str) -> str:
        token = self.next
        if token.kind not in ("word", "quoted") or token.keyword:
            raise _error(token, f'expected a value after "{_short(after)}"')
        return self.take().value

    def range(self) -> tuple[str, str]:
        if self.next.kind == "word" and ".." in self.next.text:
            low, _, high = self.take().text.partition("..")
            return low, high
        self.mark("[")
        low = self.value("[")
        self.mark(",")
        high = self.value(",")
        self.mark("]")
        return low, high

    def mark(self, text: str) -> None:
        if self.next.text != text:
            raise _error(self.next, f'expected "{text}", for a range is written [lowest, highest]')
        self.take()


def _tokens(text: str) -> Iterator[_Token]:
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            what = "a quote without its end" if text[at] in "\"'" else f"{text[at]!a} means nothing here"
            raise InvalidInput(f"column {at + 1}: {what}")
        if match.lastgroup is not None:
            yield _Token(match.lastgroup, match[0], at + 1)
        at = match.end()
    yield _Token("end", "", len(text) + 1)


def _explained(token: _Token, function: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
    """What the function gives; what it complains about gets its place in the query."""
    try:
        return function(*arguments, **named)
    except InvalidInput as error:
        raise _error(token, str(error)) from error


def _error(token: _Token, why: str) -> InvalidInput:
    return InvalidInput(f"column {token.column}: {why}")


def _short(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:40]}..."


def _inside(node: Node, *bracketed: type) -> str:
    return f"({to_text(node)})" if isinstance(node, bracketed) else to_text(node)


def _rule_text(rule: Rule) -> str:
    operator = PLAIN_SIGNS.get(rule.operator, rule.operator)
    if rule.operator in MISSING and rule.value is True:
        return f"{rule.field.name} {operator}"
    if isinstance(rule.value, tuple):
        return f"{rule.field.name} {operator} [{', '.join(map(_value_text, rule.value))}]"
    return f"{rule.field.name} {operator} {_value_text(rule.value)}"


def _value_text(value: object) -> str:
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return str(value).lower() if isinstance(value, bool) else repr(value)

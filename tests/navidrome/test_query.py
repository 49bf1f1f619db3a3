from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nomarr.errors import InvalidInput
from nomarr.navidrome.query import LONGEST, parse, to_text
from nomarr.navidrome.rules import AllOf, AnyOf, Not, Rule

from .conftest import FIELDS, rules
from .test_selection import trees

EXAMPLE = 'nom:mood_happy is true AND (nom:danceability > 0.7 OR genre contains "house") AND NOT year < 1990'


def test_the_example_of_the_contract_reads_as_it_should() -> None:
    assert rules(EXAMPLE) == AllOf(
        (
            Rule(FIELDS.find("nom:mood_happy"), "is", True),
            AnyOf(
                (
                    Rule(FIELDS.find("nom:danceability"), "gt", 0.7),
                    Rule(FIELDS.find("genre"), "contains", "house"),
                )
            ),
            Not(Rule(FIELDS.find("year"), "lt", 1990)),
        )
    )


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("year = 1990", "year is 1990"),
        ("year != 1990", "year isNot 1990"),
        ("year is not 1990", "year isNot 1990"),
        ("YEAR IS 1990", "year is 1990"),
        ("year>=1990", "year >= 1990"),
        ("title is 007", 'title is "007"'),
        ("title = 'it''s'", None),
        ("title is 'say \"so\"'", r'title is "say \"so\""'),
        ("year inTheRange 1990..1999", "year inTheRange [1990, 1999]"),
        ("bpm isMissing", "bpm ismissing true"),
        ("bpm isPresent false", "bpm isPresent false"),
        ("date after 2020-01", "date > 2020-01"),
        ("lastplayed inTheLast 30", "lastplayed inthelast 30"),
        ('inPlaylist "abc"', 'id inPlaylist "abc"'),
        ("nom_mood_strict is happy", 'nom:mood-strict is "happy"'),
        ("nom_danceability > .5", "nom:danceability > 0.5"),
        ("year > 1 AND year > 2 OR year > 3", "(year > 1 AND year > 2) OR year > 3"),
        ("NOT year > 1 AND year > 2", "(NOT year > 1) AND year > 2"),
        ("albumtype is ep", "releasetype is ep"),
    ],
)
def test_there_are_several_ways_to_say_it(text: str, same: str | None) -> None:
    if same is None:
        with pytest.raises(InvalidInput):
            rules(text)
    else:
        assert rules(text) == rules(same)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "column 1: expected a field"),
        ("   ", "column 4: expected a field"),
        ("nom:energy > 1 AND", "column 19: expected a field"),
        ("nom:danceability >", 'column 19: expected a value after ">"'),
        ("year > AND", 'column 8: expected a value after ">"'),
        ("year > abc", "column 8: year takes a number"),
        ("year", 'column 5: expected an operator after "year"'),
        ("year likes 3", 'column 6: expected an operator after "year"'),
        ("(year > 1", 'column 10: expected ")" for the "(" at column 1'),
        ("year > 1)", "column 9: expected AND, OR or the end"),
        ("artist is Daft Punk", "column 16: expected AND, OR or the end; a value of several words needs quotes"),
        ('title is "abc', "column 10: a quote without its end"),
        ("title ! abc", "column 7: '!' means nothing here"),
        ("yeer > 1", 'column 1: there is no field "yeer"; did you mean year?'),
        ("genre inTheRange [a, b]", "column 18: Navidrome has no range for genre, which can have several values"),
        ("year inTheRange 3", 'column 17: expected "[", for a range is written [lowest, highest]'),
        ("year contains 3", "column 15: year is a number, which contains does not work on"),
        ("year isMissing", "column 6: Navidrome has no isMissing for year"),
        ("nom:danceability is true", "column 21: nom:danceability is a score from 0 to 1; compare it with a number"),
        (
            "nom:mood_danceable > 0.5",
            "column 22: nom:mood_danceable has no score here; ask whether it is true or false",
        ),
        ("date is 2023-02-30", "column 9: 2023-02-30 is not a day of the calendar"),
        ("loved is maybe", "column 10: loved is either true or false"),
        ("year > 1e99", "column 8: year takes a number"),
        ("lastplayed inTheLast -3", "column 22: it takes a number of days, 0 to 36500"),
        ("title is ''", "column 10: an empty text says nothing; ask with isMissing or isPresent"),
        ("random is 3", "column 11: random is no field of files, which is does not work on"),
    ],
)
def test_a_bad_query_is_told_where_and_why(text: str, message: str) -> None:
    with pytest.raises(InvalidInput) as error:
        rules(text)
    assert str(error.value).startswith(message)


def test_a_query_has_bounds() -> None:
    rules("(" * 32 + "year > 1" + ")" * 32)
    for text in ("(" * 33 + "year > 1" + ")" * 33, "NOT " * 33 + "year > 1", "NOT (" * 5000):
        with pytest.raises(InvalidInput, match=r"nested more than 32 deep|at most"):
            rules(text)
    with pytest.raises(InvalidInput, match="at most 400 rules"):
        rules(" OR ".join(["bpm>1"] * 401))
    with pytest.raises(InvalidInput, match="at most 10000 are read"):
        rules(" " * (LONGEST + 1))


@settings(max_examples=500, deadline=None)
@given(tree=trees)
def test_a_printed_query_reads_back_the_same(tree: object) -> None:
    once = parse(to_text(tree), FIELDS)  # type: ignore[arg-type]
    assert parse(to_text(once), FIELDS) == once


@settings(max_examples=300, deadline=None)
@given(text=st.text(min_size=1, max_size=40))
def test_any_text_can_be_asked_for(text: str) -> None:
    quoted = text.replace("\\", "\\\\").replace('"', '\\"')
    if any(c == "\0" or "\ud800" <= c <= "\udfff" for c in text):
        with pytest.raises(InvalidInput, match="NUL characters or halves"):
            rules(f'title is "{quoted}"')
        return
    rule = rules(f'title is "{quoted}"')
    assert rule == Rule(FIELDS.find("title"), "is", text)
    assert parse(to_text(rule), FIELDS) == rule


def test_nothing_but_invalid_input_comes_out_of_any_text() -> None:
    chance = random.Random(1)
    words = [
        *("year", "nom:danceability", "nom:mood_happy", "genre", "id", "date", "loved", "random", "title", "bpm"),
        *("is", "isNot", ">", "<=", "=", "contains", "inTheRange", "inTheLast", "isMissing", "inPlaylist", "before"),
        *("AND", "OR", "NOT", "(", ")", "[", "]", ",", "true", "1990", "0.5", "2020-01-01", "1..2", "..", "-", "%"),
        *('"x"', "'y'", '"', "'", "\\", "!", "\0", "\ud800", "é", "\n", "1e999", "٣", "²", "9" * 400, "x" * 600),
    ]
    understood = 0
    for _ in range(20_000):
        if chance.random() < 0.7:
            text = " ".join(chance.choices(words, k=chance.randint(1, 9)))
        else:
            text = "".join(chr(chance.randrange(0x250)) for _ in range(chance.randint(0, 20)))
        try:
            tree = parse(text, FIELDS)
        except InvalidInput:
            continue
        understood += 1
        assert parse(to_text(tree), FIELDS) == tree
    assert understood > 20

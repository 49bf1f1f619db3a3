"""The lines of an export, and what may stand in them.

Whatever passes here can be kept as it is: names that become fields, files and keys are such names, numbers are numbers
and within what both databases hold, and nothing is said twice.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Hashable, Iterable, Mapping
from typing import Annotated, Literal, Self, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from nomarr.errors import InvalidInput, printable
from nomarr.moods.tiers import WORDS
from nomarr.scores import Embedding, Levels
from nomarr.store.scores import FLOAT16, FLOAT32

MOST_PATCHES = 32  # that a file's embedding has
YEAR_10000_MS = 253_402_300_800_000
HIGHEST_VERSION = 10**9  # of a calibration: the next ones count on from it
LONGEST_REASON = 300  # characters; it may quote what was sent

Model = TypeVar("Model", bound=BaseModel)


def _plain(text: str) -> str:
    if "\0" in text:
        raise ValueError("it holds a NUL character")
    return text


def _of_a_model(name: str) -> str:
    """Packs, backbones and models are called like folders, and files are named by them."""
    if "/" in name or not name.isprintable() or name in (".", ".."):
        raise ValueError("no model can be called that")
    return name


def _of_a_score(name: str) -> str:
    if re.fullmatch(r"[a-z0-9_]+", name) is None:
        raise ValueError("names of scores are made of a-z, 0-9 and _")
    return name


def _inside(path: str) -> str:
    if {"", ".", ".."} & set(path.split("/")):
        raise ValueError("it is no path inside a library")
    return path


def _mood(word: str) -> str:
    if word not in WORDS:
        raise ValueError(f"there is no mood {printable(word)[:50]!r}")
    return word


Share = Annotated[float, Field(ge=0, le=1.001)]  # a mean of ones may be a little more
Seconds = Annotated[float, Field(ge=0, le=1e9)]
Number = Annotated[int, Field(ge=0, le=2**31 - 1)]
Moment = Annotated[int, Field(ge=0, lt=YEAR_10000_MS)]
Text = Annotated[str, Field(max_length=1000), AfterValidator(_plain)]
Key = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_plain)]
Hash = Annotated[str, Field(pattern=r"^[0-9a-f]{1,128}$")]
ModelName = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_of_a_model)]
ScoreName = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_of_a_score)]
RelativePath = Annotated[str, Field(max_length=8000), AfterValidator(_plain), AfterValidator(_inside)]
MoodWord = Annotated[str, AfterValidator(_mood)]
Tiers = dict[MoodWord, Annotated[int, Field(ge=0, le=3)]]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, strict=True)


class PackLine(_Strict):
    """What one pack said: head -> (score, spread)."""

    pack: ModelName
    fingerprint: Key
    backbone: ModelName | Literal[""] = ""
    scores: dict[ScoreName, tuple[Share, Share]] = Field(min_length=1, max_length=5000)


class EmbeddingLine(_Strict):
    """`mean` is float32, `patches` float16 row by row, both little endian and in base64."""

    backbone: ModelName
    fingerprint: Key
    size: int = Field(ge=1, le=65536)
    mean: str
    patches: str

    @model_validator(mode="after")
    def _readable(self) -> Self:
        self.vectors()
        return self

    def vectors(self) -> Embedding:
        mean, patches = _numbers(self.mean, FLOAT32), _numbers(self.patches, FLOAT16)
        if len(mean) != self.size or len(patches) % self.size or len(patches) > MOST_PATCHES * self.size:
            raise ValueError(f"it is not of the size {self.size}, or has more than {MOST_PATCHES} patches")
        return Embedding(
            self.backbone,
            self.fingerprint,
            mean.astype(np.float32),
            patches.astype(np.float16).reshape(-1, self.size),
        )


class CorrectionLine(_Strict):
    """Mood -> tier, 0 for "not this one"; `kept`: the words of a locked file."""

    moods: Tiers = {}
    kept: Tiers | None = None


class FileLine(_Strict):
    """One file."""

    library: Text
    path: RelativePath
    audio_key: Hash | None = None
    audio_hash: Hash | None = None
    duration_s: Seconds | None = None
    suite: Key | None = None
    analyzed_at: Moment | None = None
    patches: Number | None = None
    analysis_s: Seconds | None = None
    hands_off: bool = False
    packs: list[PackLine] = []
    corrections: CorrectionLine | None = None
    embeddings: list[EmbeddingLine] = []

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.analyzed_at is not None and self.suite is None:
            raise ValueError("it was analysed, but does not say by which suite")
        _refuse_twice("pack", (one.pack for one in self.packs))
        _refuse_twice("backbone", (one.backbone for one in self.embeddings))
        return self


class HeadLine(_Strict):
    head_key: Key
    pack: ModelName
    fingerprint: Key
    model_name: ModelName
    head_name: ScoreName
    p5: Share
    p95: Share
    n: Number
    underflow: Number
    overflow: Number
    drift: Share | None

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.p5 > self.p95:
            raise ValueError("p5 is larger than p95")
        return self


class CalibrationLine(_Strict):
    """`library` is null for a calibration of all libraries."""

    version: int = Field(ge=1, le=HIGHEST_VERSION)
    library: Text | None
    library_size: Number
    global_version: Key
    drift: Share | None
    note: Text | None
    created_at: Moment
    heads: list[HeadLine]

    @field_validator("heads")
    @classmethod
    def _each_once(cls, value: list[HeadLine]) -> list[HeadLine]:
        _refuse_twice("head_key", (head.head_key for head in value))
        _refuse_twice("head of a pack", ((head.pack, head.head_name) for head in value))
        return value


class Header(_Strict):
    format: Literal["nomarr-results"]
    version: int
    nomarr: Text
    files: Number
    calibrations: list[CalibrationLine] = []
    mood_levels: dict[MoodWord, tuple[Share, Share, Share]] = {}

    @field_validator("calibrations")
    @classmethod
    def _each_once(cls, value: list[CalibrationLine]) -> list[CalibrationLine]:
        _refuse_twice("version", (one.version for one in value))
        return value

    @field_validator("mood_levels")
    @classmethod
    def _in_order(cls, value: Mapping[str, tuple[float, float, float]]) -> Mapping[str, tuple[float, float, float]]:
        for mood, (strict, regular, loose) in value.items():
            if not 0 < loose <= regular <= strict <= 1:
                raise ValueError(f"{mood}: expected 0 < loose <= regular <= strict <= 1")
        return value

    @property
    def levels(self) -> dict[str, Levels]:
        return {mood: Levels(*three) for mood, three in self.mood_levels.items()}


def parsed(model: type[Model], text: bytes, number: int) -> Model:
    """InvalidInput with the number of the line, and what is wrong with it."""
    try:
        return model.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = printable(".".join(map(str, first["loc"])))
        why = re.sub(r" at line \d+ column (\d+)$", r" at byte \1", first["msg"].removeprefix("Value error, "))
        what = "no results of Nomarr" if model is Header else "not understood"
        raise InvalidInput(
            f"line {number}: {what}: {f'{place[:LONGEST_REASON]}: ' if place else ''}{why[:LONGEST_REASON]}"
        ) from error


def _numbers(text: str, kind: np.dtype[np.float32] | np.dtype[np.float16]) -> NDArray[np.floating]:
    try:
        content = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError("its numbers are not in base64") from error
    if len(content) % kind.itemsize:
        raise ValueError("its numbers are not whole")
    numbers: NDArray[np.floating] = np.frombuffer(content, kind)
    if not np.isfinite(numbers).all():
        raise ValueError("it holds what is no number")
    return numbers


def _refuse_twice(what: str, names: Iterable[Hashable]) -> None:
    seen: set[Hashable] = set()
    for name in names:
        if name in seen:
            raise ValueError(f"a {what} is there twice")
        seen.add(name)

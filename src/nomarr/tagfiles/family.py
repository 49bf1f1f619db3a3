"""What a module for a family of formats offers, and what it need not say itself where a file has but one tag."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, BinaryIO, Protocol

Tags = Mapping[str, Sequence[str]]
Fields = dict[str, tuple[str, ...]]
Audio = Any  # mutagen's objects carry no useful types


class Family(Protocol):
    """How one family of formats stores fields; `prefix` is the namespace with its colon."""

    def load(self, file: BinaryIO, kind: str, /) -> Audio: ...
    def fields(self, audio: Audio, prefix: str, /) -> Fields: ...
    def standard(self, audio: Audio, /) -> Fields: ...
    def elsewhere(self, audio: Audio, file: BinaryIO, kind: str, /) -> Fields: ...
    def hidden_by_ours(self, file: BinaryIO, kind: str, /) -> str | None: ...
    def has_others(self, audio: Audio, prefix: str, standard: Collection[str], /) -> bool: ...
    def rewrite(
        self, audio: Audio, prefix: str, wanted: Tags, standard: Tags, file: BinaryIO, kind: str, /
    ) -> None: ...
    def foreign(self, audio: Audio, prefix: str, file: BinaryIO, standard: Collection[str], /) -> object: ...
    def texts(self, audio: Audio, /) -> Iterator[tuple[str, list[str]]]: ...


def elsewhere(_audio: Audio, _file: BinaryIO, _kind: str) -> Fields:
    """Standard fields stand in the one tag, and nowhere else."""
    return {}


def hidden_by_ours(_file: BinaryIO, _kind: str) -> str | None:
    """No richer tag stands beside the one that we write."""
    return None


def has_others(_audio: Audio, _prefix: str, _standard: Collection[str]) -> bool:
    """True, so that nothing is carried into the tag: there is no other to carry it from."""
    return True

"""What queries found, kept for those who ask the same again."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

REMEMBERED = 24_000_000  # bytes: some thirty answers at 100,000 files
T = TypeVar("T")


class Remembered:
    """The answers asked for last that fit into REMEMBERED bytes. Threads may share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._answers: dict[Hashable, tuple[int, Any]] = {}  # the least recently used first
        self._bytes = 0

    def recall(self, question: Hashable, answer: Callable[[], T], size_of: Callable[[T], int]) -> T:
        """The answer to an equal question, else what `answer` gives."""
        with self._lock:
            known = self._answers.pop(question, None)
            if known is not None:
                self._answers[question] = known
                found: T = known[1]
                return found
        found = answer()
        size = size_of(found)
        with self._lock:
            if question not in self._answers and size <= REMEMBERED:
                self._answers[question] = (size, found)
                self._bytes += size
            while self._bytes > REMEMBERED:
                self._bytes -= self._answers.pop(next(iter(self._answers)))[0]
        return found

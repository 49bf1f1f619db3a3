"""What is done every few seconds goes on whatever becomes of it, and ends when told to."""

from __future__ import annotations

import threading
import time

import pytest

from nomarr import rounds
from nomarr.errors import DatabaseProblem
from nomarr.rounds import Rounds, Stopped


def test_a_job_is_done_again_whatever_goes_wrong_and_less_often_then(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(rounds, "FIRST_PAUSE_S", 0.1)
    times: list[float] = []
    enough = threading.Event()

    def job() -> None:
        times.append(time.monotonic())
        if len(times) == 1:
            raise DatabaseProblem("it is locked")
        if len(times) == 2:
            raise ValueError("nobody thought of that")
        if len(times) == 5:
            enough.set()

    one = Rounds("looking", job, 0.01)
    one.start()
    assert enough.wait(20)
    one.stop()
    assert not one.is_running
    assert times[1] - times[0] >= 0.1
    assert times[2] - times[1] >= 0.2
    assert "looking: waiting for the database: it is locked" in caplog.text
    assert "nobody thought of that" in caplog.text


def test_a_job_that_has_come_to_its_end_is_not_done_again() -> None:
    times: list[int] = []

    def job() -> None:
        times.append(1)
        raise Stopped

    one = Rounds("once", job, 0.01)
    one.start()
    time.sleep(0.2)
    assert times == [1]
    assert not one.is_running


def test_what_takes_long_ends_in_the_middle_when_told_to() -> None:
    is_in_it = threading.Event()

    def job() -> None:
        is_in_it.set()
        while True:
            one.go_on()
            time.sleep(0.01)

    one = Rounds("long", job, 0.01)
    one.start()
    assert is_in_it.wait(20)
    one.stop(patience_s=20)
    assert not one.is_running


def test_what_was_never_started_can_be_stopped() -> None:
    Rounds("never", lambda: None, 1.0).stop()


def test_what_is_wanted_at_once_does_not_wait_for_its_first_round() -> None:
    is_done = threading.Event()
    one = Rounds("counting", is_done.set, 600, at_once=True)
    one.start()
    assert is_done.wait(20)
    one.stop()
    assert not one.is_running

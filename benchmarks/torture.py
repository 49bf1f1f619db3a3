"""Whether a music file survives everything that can happen while its tags are written.

    python benchmarks/torture.py kill    [--count 500]      SIGKILL at random moments, over all containers
    python benchmarks/torture.py faults  [--only flac]      errors and SIGKILL at every system call (needs strace)
    python benchmarks/torture.py mutate  [--count 10000]    damaged files through everything that reads or writes them

Each prints its totals; the exit status is 1 if anything was ever found that must not be.
"""

from __future__ import annotations

import argparse
import collections
import hashlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from models import make_models_dir
from nomarr.analysis import Models
from nomarr.errors import FileProblem, NomarrError, WriteFailed
from nomarr.tagfiles.audiofile import describe, plan_write, read_tags, write_tags
from nomarr.tagfiles.leftovers import remove_stale_copies
from nomarr.tagfiles.payload import audio_hash, audio_key
from tagfiles.samples import DECODABLE, ENCODED, HAND_MADE, WRITABLE, decoded, drop_standard, make_all

STATES = (
    {"mood_happy": ["0.8712"], "mood-strict": ["happy", "party"], "MOOD": ["happy", "party"], "GENRE": ["Jazz"]},
    {"mood_happy": ["0.1000"], "long": ["x" * 40_000]},  # beyond any padding: the audio has to move
    {},
)
ERRORS = ("ENOSPC", "EIO", "EACCES", "EROFS", "EBUSY", "ESTALE")
LIMIT_S = 10
# Memory, signals and the like: not what a disk can refuse.
NOT_OF_THE_DISK = re.compile(
    r"brk|m(un)?map|mremap|mprotect|madvise|futex|rt_sig\w+|getrandom|exit\w*|sched_\w+|clock_\w+|getpid|gettid"
    r"|geteuid|restart_syscall|clone\w*|sigaltstack|prctl|select|pselect6|set_robust_list|rseq|kill|uname|sysinfo|prlimit64|getcwd"
)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("what", choices=("kill", "faults", "mutate"))
    arguments.add_argument("--count", type=int)
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--only", action="append", choices=WRITABLE, help="this container alone")
    arguments.add_argument("--models", type=Path, help="for mutate: listen with these; small made-up ones if left out")
    arguments.add_argument("--errors", nargs="*", default=ERRORS, help="for faults")
    arguments.add_argument("--in-turn", action="store_true", help="for faults: one of the errors a call, not all")
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory(prefix="nomarr-torture-") as name:
        folder = Path(name)
        (folder / "originals").mkdir()
        # Damaged files are listened to as well, which takes a second of sound to be left.
        originals = make_all(folder / "originals", seconds=2 if given.what == "mutate" else 1)
        if given.what != "mutate":
            for name in WRITABLE:
                drop_standard(originals[name], name)
        started = time.monotonic()
        if given.what == "kill":
            found = kill(originals, folder / "kill", given.count or 500, given.seed, given.only or WRITABLE)
        elif given.what == "faults":
            found = faults(originals, folder / "faults", given.only or WRITABLE, given.errors, given.in_turn)
        else:
            models = given.models or make_models_dir(folder / "models")
            found = mutate(originals, folder / "mutate", given.count or 10_000, given.seed, models)
        print(f"{len(found)} problems in {time.monotonic() - started:.0f} s")
        for problem in found[:20]:
            print(f"  {problem}")
    raise SystemExit(1 if found else 0)


# SIGKILL at random moments


def kill(originals: dict[str, Path], folder: Path, count: int, seed: int, names: list[str]) -> list[str]:
    chance, problems = random.Random(seed), []
    caught: collections.Counter[str] = collections.Counter()
    allowed = {name: _contents(originals[name], folder / f"{name}-states", name) for name in names}
    for number in range(count):
        name = names[number % len(names)]
        in_place = number % 10 == 9
        place = folder / f"{number}"
        place.mkdir(parents=True)
        path = Path(shutil.copy(originals[name], place))
        if in_place:
            (place / "link").hardlink_to(path)
        writer = _fork(lambda path=path: _write_forever(path))
        time.sleep(chance.uniform(0.0, 0.15))
        os.kill(writer, signal.SIGKILL)
        os.waitpid(writer, 0)
        leftovers = len(list(place.iterdir())) - (2 if in_place else 1)
        caught["leaving a copy or lock" if leftovers else "between two writes"] += 1
        caught["with the file changed in place"] += in_place
        if not in_place and _digest(path) not in allowed[name]:
            problems.append(f"{name}: neither old nor new after kill {number}")
        remove_stale_copies(place, now=time.time())  # as the next start does
        if _digest(path) not in allowed[name]:
            problems.append(f"{name}: neither old nor new after the start that followed kill {number}")
        write_tags(path, {"after": ["1"]})
        if {entry.name for entry in place.iterdir()} - {path.name, "link"}:
            problems.append(f"{name}: something is left of kill {number}")
        shutil.rmtree(place)
    print(f"{count} kills over {len(names)} containers and layouts: {dict(caught)}")
    return problems


def _write_forever(path: Path) -> None:
    while True:
        for tags in STATES:
            write_tags(path, tags, hardlink_policy="in_place")


def _contents(original: Path, folder: Path, name: str) -> set[str]:
    """Hashes of all that the file can be between two writes; each is read back and decoded once."""
    folder.mkdir(parents=True)
    path = Path(shutil.copy(original, folder))
    sound, found = audio_hash(path), {_digest(path)}
    played = decoded(path) if name in DECODABLE else None
    for _ in range(3):
        for tags in STATES:
            write_tags(path, tags)
            assert audio_hash(path) == sound
            if _digest(path) not in found:
                assert played is None or decoded(path) == played
            found.add(_digest(path))
    return found


# errors and SIGKILL at every system call


def faults(originals: dict[str, Path], folder: Path, names: list[str], errors: list[str], in_turn: bool) -> list[str]:
    problems: list[str] = []
    totals: collections.Counter[str] = collections.Counter()
    for number, name in enumerate(names):
        place = folder / name
        place.mkdir(parents=True)
        path = place / originals[name].name
        calls = _calls(originals[name], path)
        for place_in_turn, (call, occurrence) in enumerate(calls, number):
            given = [errors[place_in_turn % len(errors)]] if in_turn else errors
            for fault in (*(f"error={error}" for error in given), "signal=KILL"):
                _fault(originals[name], path, f"{call}:{fault}:when={occurrence}", problems, totals)
        print(f"{name}: {len(calls)} system calls, {len(problems)} problems so far", flush=True)
    print(f"{sum(totals.values())} faults over {len(names)} containers and layouts: {dict(totals)}")
    return problems


def _calls(original: Path, path: Path) -> list[tuple[str, int]]:
    """Every system call of one write, as (name, which of that name)."""
    shutil.copy(original, path)
    log = path.with_suffix(".log")
    _traced(path, log, "-e", "trace=all")
    names = [match[1] for line in log.read_text().splitlines() if (match := re.match(r"\d+ +(\w+)\(", line))]
    log.unlink()
    seen: collections.Counter[str] = collections.Counter()
    calls = []
    for name in names:
        seen[name] += 1
        if not NOT_OF_THE_DISK.fullmatch(name):
            calls.append((name, seen[name]))
    return calls


def _fault(original: Path, path: Path, inject: str, problems: list[str], totals: collections.Counter[str]) -> None:
    shutil.copy(original, path)
    old = _digest(path)
    status = _traced(
        path, path.with_suffix(".log"), "-e", f"trace={inject.partition(':')[0]}", "-e", f"inject={inject}"
    )
    path.with_suffix(".log").unlink()
    result = path.with_suffix(".result")
    outcome = json.loads(result.read_text()) if result.exists() else {}
    result.unlink(missing_ok=True)
    is_new = path.exists() and read_tags(path) == plan_write(original, STATES[0]).after
    is_whole = path.exists() and (is_new or _digest(path) == old) and audio_hash(path) == audio_hash(original)
    where = f"{path.stem} {inject}"
    if not is_whole:
        problems.append(f"{where}: the file is neither old nor new")
    if "KILL" in inject:
        totals["killed, file new" if is_new else "killed, file old"] += 1
    elif "crash" in outcome or not outcome:
        problems.append(f"{where}: {outcome.get('crash', f'no outcome, status {status}')}")
    elif bool(outcome.get("written")) != is_new:
        problems.append(f"{where}: said {outcome}, but the file is {'new' if is_new else 'old'}")
    else:
        totals["written all the same" if is_new else f"refused: {outcome['why']}"] += 1
    remove_stale_copies(path.parent, now=time.time())
    if not write_tags(path, {"after": ["1"]}).changed or list(path.parent.iterdir()) != [path]:
        problems.append(f"{where}: no success afterwards, or something is left")


def _traced(path: Path, log: Path, *options: str) -> int:
    """One write by a child that strace watches from its first step on; -> the child's status."""

    def write() -> None:
        os.kill(os.getpid(), signal.SIGSTOP)
        outcome: dict[str, str] = {}
        try:
            outcome["written"] = str(write_tags(path, STATES[0]).changed)
        except WriteFailed as error:
            outcome["why"] = error.why
        except NomarrError as error:
            outcome["why"] = str(getattr(error, "why", error))
        except BaseException:  # noqa: BLE001
            outcome["crash"] = traceback.format_exc(limit=-3)
        os.kill(os.getpid(), signal.SIGSTOP)  # strace goes before the outcome is noted
        path.with_suffix(".result").write_text(json.dumps(outcome))

    child = _fork(write)
    os.waitpid(child, os.WUNTRACED)
    command = ["strace", "-f", "-o", str(log), "-p", str(child), *options]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as strace:
        assert "attached" in strace.stderr.readline()
        os.kill(child, signal.SIGCONT)
        while True:
            with suppress(ChildProcessError):
                pid, status = os.waitpid(child, os.WUNTRACED | os.WNOHANG)
                if pid:
                    break
            time.sleep(0.001)
        if os.WIFSTOPPED(status):
            strace.send_signal(signal.SIGINT)
        strace.wait(timeout=20)
    if os.WIFSTOPPED(status):
        os.kill(child, signal.SIGCONT)
        _, status = os.waitpid(child, 0)
    return status


# damaged files


def mutate(originals: dict[str, Path], folder: Path, count: int, seed: int, models: Path) -> list[str]:
    problems: list[str] = []
    totals: collections.Counter[str] = collections.Counter()
    folder.mkdir(parents=True)
    names = [*ENCODED, *HAND_MADE]
    contents = {name: originals[name].read_bytes() for name in names}
    first = 0
    while first < count:
        report = folder / "report"
        report.touch()
        numbers = range(first, min(first + 250, count))
        child = _fork(lambda numbers=numbers: _handle_damaged(folder, contents, names, numbers, seed, models))
        status = _wait(child, report)
        lines = [line.split(" ", 1) for line in report.read_text().splitlines()]
        problems += [text for kind, text in lines if kind == "problem"]
        totals.update(text for kind, text in lines if kind == "count")
        reached = int([text for kind, text in lines if kind == "file"][-1].split()[0])
        first = reached + 1
        if status:
            how = f"no answer for {LIMIT_S} s" if status == signal.SIGKILL else f"the process died ({status})"
            problems.append(f"{lines[-1][1]}: {how}")
    print(f"{count} damaged files: {dict(sorted(totals.items()))}")
    return problems


def _wait(child: int, report: Path) -> int:
    """The child's status; it is killed where it says nothing for longer than an alarm would let it."""
    size, since = 0, time.monotonic()
    while True:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return status
        if report.stat().st_size != size:
            size, since = report.stat().st_size, time.monotonic()
        if time.monotonic() - since > LIMIT_S + 2:
            os.kill(child, signal.SIGKILL)
        time.sleep(0.01)


def _handle_damaged(
    folder: Path, contents: dict[str, bytes], names: list[str], numbers: range, seed: int, models_dir: Path
) -> None:
    signal.signal(signal.SIGALRM, _too_long)
    with (folder / "report").open("w", buffering=1) as report, Models(models_dir) as models:
        for number in numbers:
            chance = random.Random(f"{seed} {number}")
            name = chance.choice(names)
            place = folder / str(number)
            place.mkdir()
            path = place / f"damaged{chance.choice(('.mp3', '.flac', '.m4a', '.ogg', ''))}"
            path.write_bytes(damaged(contents, name, chance))
            print("file", number, name, file=report)
            for what, action in _uses(path, models):
                print("now", number, name, what, file=report)
                signal.alarm(LIMIT_S)
                try:
                    outcome = action()
                except FileProblem:
                    outcome = "refused"
                except BaseException as error:  # noqa: BLE001
                    signal.alarm(0)
                    where = "".join(traceback.format_exception(error, limit=-2)).replace("\n", " | ")
                    print("problem", number, name, what, where, file=report)
                    continue
                signal.alarm(0)
                print("count", f"{what}: {outcome}", file=report)
            shutil.rmtree(place)


def _uses(path: Path, models: Models) -> Iterator[tuple[str, Callable[[], object]]]:
    yield "describe", lambda: "done" if describe(path).container else "not audio"
    yield "audio_key", lambda: audio_key(path) and "done"
    yield "audio_hash", lambda: audio_hash(path) and "done"
    yield "plan", lambda: plan_write(path, STATES[0]) and "done"
    yield "analyze", lambda: models.analyze(path) and "done"
    yield "write", lambda: _write_damaged(path)


def _write_damaged(path: Path) -> str:
    before, state = path.read_bytes(), path.stat()
    try:
        planned = plan_write(path, STATES[0]).after
        write_tags(path, STATES[0])
    except FileProblem:
        assert path.read_bytes() == before, "a refused write changed the file"
        assert path.stat()[:8] == state[:8], "a refused write touched the file"
        assert list(path.parent.iterdir()) == [path], "a refused write left something"
        raise
    old = path.with_name("old")
    old.write_bytes(before)
    assert audio_hash(old) == audio_hash(path), "the audio changed"
    assert read_tags(path) == planned, "other tags were written"
    old.unlink()
    assert list(path.parent.iterdir()) == [path], "something is left"
    return "done"


def damaged(contents: dict[str, bytes], name: str, chance: random.Random) -> bytes:
    """The file with flipped bits, cut short, with a strange head, with parts gone, doubled or from another file."""
    content = bytearray(contents[name])
    for _ in range(chance.choice((1, 1, 2, 3))):
        size = len(content)
        near = chance.choice((64, 512, 8192, size))
        at = min(chance.randrange(max(1, near)), max(0, size - 1))
        if chance.random() < 0.2:
            at = max(0, size - 1 - at)
        match chance.randrange(8):
            case 0 | 1:
                for _ in range(chance.choice((1, 2, 8, 64))):
                    where = min(size - 1, chance.randrange(max(1, near)))
                    content[where] ^= 1 << chance.randrange(8)
            case 2:
                del content[max(1, at) :]
            case 3:
                content[:at] = chance.randbytes(min(at, 8192))
            case 4:
                length = chance.choice((1, 2, 4, 100, 10_000))
                content[at : at + length] = chance.choice((b"\0", b"\xff")) * length
            case 5:
                del content[at : at + chance.choice((1, 3, 4, 1000))]
            case 6:
                content[at:at] = content[at : at + chance.choice((4, 100, 5000))]
            case 7:
                other = contents[chance.choice(list(contents))]
                content[:0] = other[: chance.choice((10, 200, 4000))]
        content = content or bytearray(b"\0")
    return bytes(content)


def _too_long(_number: int, _frame: object) -> None:
    raise TimeoutError(f"longer than {LIMIT_S} s")


def _fork(work: Callable[[], None]) -> int:
    """The id of a child that does the work and ends."""
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        work()
        status = 0
    except BaseException:  # noqa: BLE001
        traceback.print_exc()
    finally:
        os._exit(status)


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


if __name__ == "__main__":
    main()

"""The systemd units in deploy/."""

from __future__ import annotations

import shutil
import subprocess
from configparser import ConfigParser
from pathlib import Path

import pytest

DEPLOY = Path(__file__).parent.parent / "deploy"
SERVER, WORKER = DEPLOY / "nomarr.service", DEPLOY / "nomarr-worker@.service"
BOTH = pytest.mark.parametrize("unit", [SERVER, WORKER], ids=lambda unit: unit.stem)


def options(unit: Path, section: str) -> dict[str, str]:
    """Of one that is there twice, the last."""
    parser = ConfigParser(strict=False, interpolation=None, delimiters="=", comment_prefixes="#")
    parser.optionxform = str  # type: ignore[assignment]
    parser.read(unit)
    return dict(parser[section])


@BOTH
def test_what_cannot_start_is_tried_again_but_not_for_ever(unit: Path) -> None:
    service, limits = options(unit, "Service"), options(unit, "Unit")
    assert service["Restart"] == "on-failure"
    assert int(limits["StartLimitBurst"]) * int(service["RestartSec"]) < 60 * int(
        limits["StartLimitIntervalSec"].removesuffix("min")
    )


@BOTH
def test_a_worker_without_memory_does_not_take_the_others_with_it(unit: Path) -> None:
    assert options(unit, "Service")["OOMPolicy"] == "continue"


def test_both_units_are_kept_in_alike_but_for_the_devices_of_a_gpu() -> None:
    server, worker = options(SERVER, "Service"), options(WORKER, "Service")
    different = {option for option in server.keys() | worker.keys() if server.get(option) != worker.get(option)}
    assert different == {"ExecStart", "EnvironmentFile", "PrivateDevices"}


@BOTH
@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_systemd_understands_every_line(unit: Path, tmp_path: Path) -> None:
    copy = tmp_path / unit.name.replace("@", "@1")
    copy.write_text(unit.read_text().replace("/opt/nomarr/bin/nomarr", "/bin/true"))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--recursive-errors=no", copy], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")

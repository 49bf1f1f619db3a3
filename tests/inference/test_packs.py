"""Packs: fetched once by the real pip, from a folder of wheels; whole or not at all."""

from __future__ import annotations

import hashlib
import signal
import socket
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from nomarr.errors import ModelProblem, PackUnavailable
from nomarr.inference.packs import SOURCES, install, install_missing, needs_default_packs, read_installed, verify

WEIGHTS = b"weights" * 1000
MEMBER = "tinypack/model.onnx"


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of wheels that pip uses in place of PyPI; it has the one that the VibeNet pack is now made from."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    wheel = folder / "tinypack-1.0-py3-none-any.whl"
    about = "tinypack-1.0.dist-info"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(MEMBER, WEIGHTS)
        archive.writestr(f"{about}/METADATA", "Metadata-Version: 2.1\nName: tinypack\nVersion: 1.0\n")
        archive.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{about}/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    use_wheel(monkeypatch, hashlib.sha256(wheel.read_bytes()).hexdigest())
    return folder


def use_wheel(monkeypatch: pytest.MonkeyPatch, sha256: str) -> None:
    source = replace(SOURCES["vibenet"], wheel="tinypack==1.0", sha256=sha256, member=MEMBER)
    monkeypatch.setitem(SOURCES, "vibenet", source)


@pytest.fixture
def models(tmp_path: Path) -> Path:
    return tmp_path / "models"


@pytest.fixture
def no_pip(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever calls pip now fails."""
    monkeypatch.setattr(sys, "executable", "/bin/false")


def installer(models: Path) -> subprocess.Popen[str]:
    """Another process that installs the same pack."""
    source = SOURCES["vibenet"]
    code = f"""
from dataclasses import replace
from pathlib import Path
from nomarr.inference.packs import SOURCES, install_missing
SOURCES["vibenet"] = replace(SOURCES["vibenet"], wheel={source.wheel!r}, sha256={source.sha256!r}, member={MEMBER!r})
print(install_missing(Path({str(models)!r}), ["vibenet"]))
"""
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def left_over(models: Path) -> list[str]:
    return sorted(path.name for path in models.iterdir() if path.name not in (".lock", "packs"))


@pytest.mark.usefixtures("wheels")
def test_a_missing_pack_is_installed_and_says_so(models):
    said: list[str] = []
    assert install_missing(models, ["vibenet"], progress=said.append) == ["vibenet"]
    assert (models / "packs" / "vibenet" / "model.onnx").read_bytes() == WEIGHTS
    (pack,), problems = read_installed(models)
    assert (pack.name, problems) == ("vibenet", [])
    assert verify(models) == [("vibenet", None)]
    assert left_over(models) == []
    assert "GPL-3.0-or-later" in said[0]
    assert said[-1] == "Installed vibenet"


@pytest.mark.usefixtures("wheels")
def test_a_pack_that_is_there_is_not_fetched_again(models, request):
    install_missing(models, ["vibenet"])
    request.getfixturevalue("no_pip")
    assert install_missing(models, ["vibenet"]) == []


@pytest.mark.usefixtures("wheels")
def test_a_pack_can_be_fetched_anew(models):
    install_missing(models, ["vibenet"])
    model = models / "packs" / "vibenet" / "model.onnx"
    model.write_bytes(b"spoilt")
    install(models, "vibenet")
    assert model.read_bytes() == WEIGHTS
    assert left_over(models) == []


def test_a_wheel_with_another_hash_is_refused(models, wheels, monkeypatch):
    use_wheel(monkeypatch, "0" * 64)
    with pytest.raises(PackUnavailable, match="not the known file"):
        install_missing(models, ["vibenet"])
    assert left_over(models) == []
    assert needs_default_packs(models)


def test_without_a_network_one_sentence_says_so(models, wheels):
    next(wheels.iterdir()).unlink()
    with pytest.raises(PackUnavailable) as caught:
        install_missing(models, ["vibenet"])
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("tinypack==1.0 could not be fetched; without a network, ")


def test_a_first_start_without_a_network_is_tried_again_at_the_next(models, wheels):
    next(wheels.iterdir()).unlink()
    assert needs_default_packs(models)
    with pytest.raises(PackUnavailable):
        install_missing(models, ["vibenet"])
    assert needs_default_packs(models)


@pytest.mark.usefixtures("wheels")
def test_if_one_of_two_packs_cannot_be_had_neither_is_installed(models, monkeypatch):
    monkeypatch.setitem(SOURCES, "musicnn", replace(SOURCES["musicnn"], wheel="nowhere==1.0"))
    with pytest.raises(PackUnavailable, match=r"^nowhere==1\.0"):
        install_missing(models, ["vibenet", "musicnn"])
    assert needs_default_packs(models)


def test_an_unknown_pack_is_named(models):
    with pytest.raises(PackUnavailable, match="no model pack is named 'nonsense'"):
        install(models, "nonsense")


@pytest.mark.usefixtures("wheels")
def test_two_processes_that_start_at_once_make_one_good_pack(models):
    both = [installer(models), installer(models)]
    said = sorted(process.communicate(timeout=60)[0].strip() for process in both)
    assert said == ["['vibenet']", "[]"]
    assert verify(models) == [("vibenet", None)]
    assert left_over(models) == []


def test_a_killed_installation_leaves_no_half_pack_and_the_next_one_cleans_up(models, wheels, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as silent:  # an index that never answers
        with monkeypatch.context() as slow:
            slow.delenv("PIP_NO_INDEX")
            slow.delenv("PIP_FIND_LINKS")
            slow.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{silent.getsockname()[1]}/")
            process = installer(models)
            connection, _ = silent.accept()
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=10)
        connection.close()
    assert [name.startswith(".install-") for name in left_over(models)] == [True]
    assert needs_default_packs(models)
    assert read_installed(models) == ([], [])
    assert install_missing(models, ["vibenet"]) == ["vibenet"]
    assert left_over(models) == []


@pytest.mark.usefixtures("wheels")
def test_a_changed_model_is_noticed(models):
    install_missing(models, ["vibenet"])
    with open(models / "packs" / "vibenet" / "model.onnx", "ab") as file:
        file.write(b"x")
    ((name, fault),) = verify(models)
    assert name == "vibenet"
    assert "changed since it was installed" in str(fault)


@pytest.mark.usefixtures("wheels")
@pytest.mark.parametrize("file", ["model.onnx", "pack.json"])
def test_a_missing_file_is_noticed(models, file):
    install_missing(models, ["vibenet"])
    (models / "packs" / "vibenet" / file).unlink()
    assert file in str(verify(models)[0][1])
    found, (problem,) = read_installed(models)
    assert found == []
    assert file in problem


@pytest.mark.usefixtures("wheels")
def test_a_pack_made_by_another_version_is_reported_with_the_remedy(models, monkeypatch):
    install_missing(models, ["vibenet"])
    monkeypatch.setitem(SOURCES, "vibenet", replace(SOURCES["vibenet"], builder=2))
    assert "nomarr models pull vibenet" in read_installed(models)[1][0]
    assert install_missing(models, ["vibenet"]) == ["vibenet"]


def test_only_an_untouched_folder_gets_the_default_packs(tmp_path):
    assert needs_default_packs(tmp_path / "none")
    assert needs_default_packs(tmp_path)
    (tmp_path / "packs").mkdir()
    (tmp_path / ".lock").touch()
    assert needs_default_packs(tmp_path)
    (tmp_path / "musicnn").mkdir()
    assert not needs_default_packs(tmp_path)


def test_a_file_in_place_of_the_models_folder_is_a_problem(tmp_path):
    (tmp_path / "models").touch()
    with pytest.raises(ModelProblem):
        needs_default_packs(tmp_path / "models")
    with pytest.raises(PackUnavailable, match="cannot be installed there"):
        install_missing(tmp_path / "models")


def test_every_source_has_as_many_heads_as_outputs_and_plain_names():
    for source in SOURCES.values():
        heads = [output.head for output in source.outputs]
        assert len(set(heads)) == len(heads)
        assert all(head.replace("_", "").isalnum() and head.islower() for head in heads)

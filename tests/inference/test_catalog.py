"""What a models folder offers: classes as the metadata orders them, and a reason for whatever is left out."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from tests.models import BACKBONE, HEADS, make_models_dir, write_backbone, write_head, write_json

from nomarr.errors import ModelProblem
from nomarr.inference.catalog import Suite, read_suite, score_names


@pytest.fixture
def models(tmp_path: Path) -> Path:
    return make_models_dir(tmp_path / "models")


def head_file(models: Path, name: str, ending: str = "onnx") -> Path:
    return models / BACKBONE / "heads" / "softmax" / f"{name}-tiny-1.{ending}"


def change_json(path: Path, **changes: object) -> None:
    write_json(path, {**json.loads(path.read_text()), **changes})


def heads_of(suite: Suite) -> dict[str, tuple[str, ...]]:
    return {head.name: head.classes for pack in suite.packs if not pack.tags for head in pack.heads}


def only_problem(models: Path, *parts: str) -> None:
    """There is one problem, it names these things, and everything else is still there."""
    suite = read_suite(models)
    assert len(suite.problems) == 1
    for part in parts:
        assert part in suite.problems[0]
    assert len(heads_of(suite)) >= len(HEADS) - 1


def test_a_folder_becomes_one_pack_of_tags_and_one_of_heads(models):
    suite = read_suite(models)
    assert [pack.name for pack in suite.packs] == ["essentia-tiny", "tiny"]
    assert suite.problems == ()
    assert len(suite.backbones) == 1
    assert suite.packs[1].scores == ("rock", "electronic", "female_vocalists", "hip_hop")


def test_classes_are_in_the_order_of_the_metadata(models):
    assert heads_of(read_suite(models)) == HEADS
    change_json(head_file(models, "mood_sad", "json"), classes=["sad", "non_sad"])
    assert heads_of(read_suite(models))["mood_sad"] == ("sad", "non_sad")


@pytest.mark.parametrize(
    ("head", "classes", "positive"),
    [
        ("mood_sad", ("non_sad", "sad"), "sad"),
        ("mood_sad", ("sad", "non_sad"), "sad"),
        ("danceability", ("danceable", "not_danceable"), "danceable"),
        ("danceability", ("not danceable", "danceable"), "danceable"),
        ("approachability", ("Not-approachable", "approachable"), "approachable"),
        ("tonal_atonal", ("atonal", "tonal"), "tonal"),
        ("voice_instrumental", ("instrumental", "voice"), "voice"),
        ("gender", ("female", "male"), "female"),
        ("timbre", ("bright", "dark"), "bright"),
        ("nothing", ("nothing", "notable"), "nothing"),
    ],
)
def test_two_classes_give_one_score_that_of_the_affirmed_one(head, classes, positive, tmp_path):
    write_backbone(tmp_path / "b")
    write_head(tmp_path / "b", head, classes)
    (found,) = read_suite(tmp_path).packs[0].heads
    assert found.classes[found.positive] == positive
    assert read_suite(tmp_path).packs[0].scores == (head,)


def test_more_classes_give_one_score_each(tmp_path):
    write_backbone(tmp_path / "b")
    write_head(tmp_path / "b", "genre", ("Rock & Roll", "jazz", "R&B", "Drum n Bass"))
    pack = read_suite(tmp_path).packs[0]
    assert pack.scores == ("genre_rock_roll", "genre_jazz", "genre_r_b", "genre_drum_n_bass")
    assert pack.score_columns == [0, 1, 2, 3]


def test_score_columns_count_over_all_heads(models):
    pack = read_suite(models).packs[0]
    assert pack.scores == ("danceability", "mood_happy", "mood_relaxed", "mood_sad", "voice_instrumental")
    assert pack.score_columns == [0, 2, 5, 7, 9]


# What is left out


def test_a_head_without_metadata_is_left_out(models):
    head_file(models, "mood_sad", "json").unlink()
    only_problem(models, "mood_sad-tiny-1.json", "no such file")


@pytest.mark.parametrize("content", ["", "[]", "{", "null", '"text"', "\x00"])
def test_a_head_with_other_metadata_is_left_out(content, models):
    head_file(models, "mood_sad", "json").write_text(content)
    only_problem(models, "mood_sad-tiny-1.json", "JSON")


@pytest.mark.parametrize("classes", [None, [], "sad", ["sad", 3], ["", "sad"]])
def test_a_head_without_classes_is_left_out(classes, models):
    change_json(head_file(models, "mood_sad", "json"), classes=classes)
    only_problem(models, "mood_sad", "lists no classes")


def test_a_head_that_lists_a_class_twice_is_left_out(models):
    change_json(head_file(models, "mood_sad", "json"), classes=["Sad", "sad"])
    only_problem(models, "mood_sad", "twice")


def test_a_head_whose_metadata_disagrees_with_itself_is_left_out(models):
    change_json(head_file(models, "mood_sad", "json"), classes=["non_sad", "sad", "very_sad"])
    only_problem(models, "mood_sad", "3 classes but 2 outputs")


def test_a_head_with_other_outputs_than_its_metadata_says_is_left_out(models):
    write_head(models / BACKBONE, "mood_sad", ("non_sad", "sad"), columns=3)
    only_problem(models, "mood_sad", "0 of its outputs could be the 2 predictions")


def test_a_head_for_another_size_of_embedding_is_left_out(models):
    write_head(models / BACKBONE, "mood_sad", ("non_sad", "sad"), size=200)
    only_problem(models, "mood_sad", "200", "gives 16 values")


def test_a_head_for_an_unknown_embedding_is_left_out(models):
    write_head(models / BACKBONE, "extra", ("a", "b"), embeddings="discogs-effnet-bs64-1")
    only_problem(models, "extra", "'discogs-effnet-bs64-1', which is not installed")


@pytest.mark.parametrize("content", [b"", b"no model", bytes(1000)])
def test_a_damaged_head_is_left_out(content, models):
    head_file(models, "mood_sad").write_bytes(content)
    only_problem(models, "mood_sad-tiny-1.onnx")


def test_a_head_that_is_a_dangling_link_is_left_out(models):
    head_file(models, "mood_sad").unlink()
    head_file(models, "mood_sad").symlink_to("nowhere.onnx")
    only_problem(models, "mood_sad-tiny-1.onnx")


def test_a_backbone_that_is_a_dangling_link_is_reported(models):
    network = models / BACKBONE / "embeddings" / "tiny-1.onnx"
    network.unlink()
    network.symlink_to("nowhere.onnx")
    with pytest.raises(ModelProblem, match=r"tiny-1\.onnx"):
        read_suite(models)


def test_a_backbone_for_an_unknown_algorithm_is_reported(models):
    write_backbone(models / "other", "vggish-1", algorithm="TensorflowPredictVGGish")
    only_problem(models, "vggish-1", "'TensorflowPredictVGGish', which is not supported")


def test_a_backbone_with_another_patch_than_its_algorithm_takes_is_reported(models):
    write_backbone(models / "other", "other-1", frames=100)
    only_problem(models, "other-1", "[n, 187, 96]")


def test_a_backbone_for_a_fixed_number_of_patches_is_reported(models):
    path = write_backbone(models / "other", "discogs-effnet-bs64-1")
    import onnx

    model = onnx.load(str(path))
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 64
    onnx.save(model, str(path))
    only_problem(models, "bs64", "exactly 64 patches at once")


def test_a_second_backbone_in_a_folder_is_reported(models):
    write_backbone(models / BACKBONE, "zweite-1")
    only_problem(models, "zweite-1 is not used")


def test_heads_on_a_second_backbone_of_a_folder_are_reported(models):
    write_backbone(models / BACKBONE, "zweite-1")
    write_head(models / BACKBONE, "zz_last", ("a", "b"), embeddings="zweite-1")
    problems = read_suite(models).problems
    assert any("zz_last" in problem and "share one backbone" in problem for problem in problems)


def test_effnet_folders_are_cut_into_their_own_patches(tmp_path):
    write_backbone(tmp_path / "effnet", "effnet-1", frames=128, algorithm="TensorflowPredictEffnetDiscogs")
    write_head(tmp_path / "effnet", "mood_happy", ("happy", "non_happy"), embeddings="effnet-1")
    (backbone,) = read_suite(tmp_path).backbones
    assert (backbone.frames, backbone.hop) == (128, 62)


def test_a_folder_without_models_says_so(tmp_path):
    (tmp_path / "empty").mkdir()
    for folder in (tmp_path / "empty", tmp_path / "none"):
        with pytest.raises(ModelProblem, match="no usable models"):
            read_suite(folder)


def test_where_nothing_is_left_the_reasons_are_given(models):
    for path in (models / BACKBONE / "embeddings").glob("*.onnx"):
        path.write_bytes(b"no model")
    with pytest.raises(ModelProblem, match=r"no usable models in .*tiny-1\.onnx: not a model"):
        read_suite(models)


# Names


def test_packs_can_be_chosen_by_name_or_backbone(models):
    assert [pack.name for pack in read_suite(models, ["tiny"]).packs] == ["essentia-tiny", "tiny"]
    assert [pack.name for pack in read_suite(models, ["essentia-tiny"]).packs] == ["essentia-tiny"]


def test_choosing_an_unknown_pack_names_it(models):
    with pytest.raises(ModelProblem, match="no model pack named 'nonsense'"):
        read_suite(models, ["tiny", "nonsense"])


def test_of_scores_with_one_name_the_preferred_packs_keeps_it(tmp_path):
    write_backbone(tmp_path / "first", "first-1", tags=("mood_sad", "rock"))
    write_head(tmp_path / "first", "mood_sad", ("non_sad", "sad"), embeddings="first-1")
    write_backbone(tmp_path / "other", "other-1", tags=("jazz",))
    write_head(tmp_path / "other", "mood_sad", ("non_sad", "sad"), embeddings="other-1")
    assert read_suite(tmp_path).score_names() == {
        ("essentia-first", "mood_sad"): "mood_sad",
        ("essentia-other", "mood_sad"): "mood_sad_essentia_other",
        ("first", "mood_sad"): "mood_sad_first",
        ("first", "rock"): "rock",
        ("other", "jazz"): "jazz",
    }


def test_essentias_heads_come_before_vibenet_and_vibenet_before_tags():
    packs = [(name, ["danceability"]) for name in ("mtt", "musicnn", "vibenet", "essentia-musicnn")]
    assert score_names(packs) == {
        ("essentia-musicnn", "danceability"): "danceability",
        ("vibenet", "danceability"): "danceability_vibenet",
        ("musicnn", "danceability"): "danceability_musicnn",
        ("mtt", "danceability"): "danceability_mtt",
    }


def test_two_folders_with_one_network_share_it(models):
    shutil.copytree(models / BACKBONE, models / "copy")
    suite = read_suite(models)
    assert len(suite.packs) == 4
    assert len(suite.backbones) == 1


def test_head_keys_name_backbone_and_head(models):
    suite = read_suite(models)
    assert suite.head_keys()["essentia-tiny", "mood_sad"] == "tiny:mood_sad"
    assert len(set(suite.head_keys().values())) == len(suite.head_keys())


# The fingerprint


def test_the_same_folder_has_the_same_fingerprint_anywhere_and_at_any_time(models, tmp_path):
    before = read_suite(models).fingerprint
    for path in models.rglob("*"):
        os.utime(path, (1_000_000_000, 1_000_000_000))
    assert read_suite(models).fingerprint == before
    assert read_suite(make_models_dir(tmp_path / "elsewhere")).fingerprint == before


def test_the_fingerprint_changes_with_any_model(models):
    seen = {read_suite(models).fingerprint}
    for path in sorted(models.rglob("*.onnx")):
        content = path.read_bytes()
        path.write_bytes(content + b"\x32\x01x")  # a remark added to the protobuf message: another file, the same model
        seen.add(read_suite(models).fingerprint)
        path.write_bytes(content)
    assert len(seen) == 1 + 1 + len(HEADS)


def test_the_fingerprint_changes_with_the_order_of_classes_and_with_a_head_less(models):
    before = read_suite(models).fingerprint
    change_json(head_file(models, "mood_sad", "json"), classes=["sad", "non_sad"])
    turned = read_suite(models).fingerprint
    head_file(models, "mood_sad").unlink()
    assert len({before, turned, read_suite(models).fingerprint}) == 3

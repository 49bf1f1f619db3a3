from __future__ import annotations

import pytest

from nomarr.inference.catalog import score_names
from nomarr.moods.reference import for_words
from nomarr.moods.tags import tag_scores, tags_for
from nomarr.moods.tiers import moods_of
from nomarr.navidrome.sounds import Sounds
from nomarr.store import calibrations, libraries
from nomarr.store.calibrations import HeadCalibration

from .conftest import World
from .world import NOW, Track


def test_scores_and_moods_are_those_that_a_worker_writes_with_the_librarys_calibration(world: World) -> None:
    heads = [
        HeadCalibration(f"{pack}:{head}", pack, "f1", pack, head, p5, p95, 60, 0, 0, None)
        for pack, head, p5, p95 in (
            ("vibenet", "danceability", 0.2, 0.7),
            ("vibenet", "valence", 0.1, 0.4),
            ("musicnn", "mood_happy", 0.5, 0.505),
        )
    ]
    with world.db.write() as tx:
        (library,) = libraries.list_all(tx)
        calibrations.save(
            tx, heads, library_id=None, library_size=60, global_version="g", drift=None, note=None, now=NOW
        )
    with world.db.read() as tx:
        sounds = Sounds(world.matrix.refresh(tx), calibrations.current(tx).of)
        own = calibrations.for_library(tx, library.id)

    def written(track: Track) -> dict[str, tuple[str, ...]]:
        names = score_names([(pack.pack, pack.heads) for pack in track.packs])
        return tags_for(
            tag_scores(track.packs, names, own.heads),
            moods_of(track.packs, for_words(own)),
            mode="native",
            version="1",
            suite="s",
        )

    expected = {i: written(track) for i, track in world.tracks.items()}
    for score in ("danceability", "danceability_vibenet", "mood_happy", "mood_happy_musicnn", "energy"):
        ids, numbers = sounds.values(score)
        found = {i: (f"{number:.4f}",) for i, number in zip(ids.tolist(), numbers.tolist(), strict=True)}
        assert found == {i: tags[score] for i, tags in expected.items() if score in tags}
    for tier in ("strict", "regular", "loose"):
        for word in ("happy", "sad", "danceable", "ambient"):
            carriers = {i for i, tags in expected.items() if word in tags.get(f"mood-{tier}", ())}
            assert set(sounds.carrying(tier, lambda said, word=word: said == word).tolist()) == carriers  # type: ignore[misc]


@pytest.mark.parametrize("score", ["danceability", "nothing"])
def test_libraries_that_are_left_out_have_no_scores(world: World, score: str) -> None:
    with world.db.read() as tx:
        sounds = Sounds(world.matrix.refresh(tx), library_ids=())
    ids, numbers = sounds.values(score)
    assert (len(ids), len(numbers), sounds.scores) == (0, 0, {})

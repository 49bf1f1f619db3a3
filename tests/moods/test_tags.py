from nomarr.moods.tags import tags_for, tags_hash
from nomarr.scores import Moods

MOODS = Moods(strict=("happy",), regular=("happy", "party"), loose=("happy", "party", "bright"))


def tags(mode: str, **more: str) -> dict[str, tuple[str, ...]]:
    facts = {"version": "1.0", "suite": "abc"} | more
    return tags_for({"mood_happy": 0.87123, "era_80s": 0.0}, MOODS, mode=mode, **facts)


def test_native_mode_writes_scores_words_and_bookkeeping() -> None:
    assert tags("native") == {
        "mood-strict": ("happy",),
        "mood-regular": ("happy", "party"),
        "mood-loose": ("happy", "party", "bright"),
        "mood_happy": ("0.8712",),
        "era_80s": ("0.0000",),
        "version": ("1.0",),
        "suite": ("abc",),
        "calibration": ("reference",),
    }


def test_moods_mode_writes_the_words_alone() -> None:
    assert set(tags("moods")) == {"mood-strict", "mood-regular", "mood-loose"}


def test_none_mode_writes_nothing() -> None:
    assert tags("none") == {}


def test_a_tier_without_words_leaves_no_empty_field() -> None:
    found = tags_for({}, Moods(loose=("sad",)), mode="moods", version="1", suite="a")
    assert found == {"mood-loose": ("sad",)}


def test_the_hash_sees_every_value_but_not_the_version() -> None:
    assert tags_hash(tags("native")) == tags_hash(tags("native", version="2.0"))
    assert tags_hash(tags("native")) != tags_hash(tags("native", suite="other"))
    assert tags_hash({"a": ("b", "c")}) != tags_hash({"a": ("bc",)})

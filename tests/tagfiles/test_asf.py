import subprocess
from pathlib import Path

import mutagen

from nomarr.tagfiles.audiofile import read_tags, write_tags


def test_a_wma_that_names_its_author_in_two_places_can_be_tagged(tmp_path: Path) -> None:
    path = tmp_path / "song.wma"  # ffmpeg writes the artist into both metadata objects
    source = ["-f", "lavfi", "-i", "sine=duration=1", "-metadata", "artist=Somebody", "-metadata", "title=Song"]
    subprocess.run(["ffmpeg", "-v", "error", *source, "-c:a", "wmav2", str(path)], check=True)
    before = [str(value) for value in mutagen.File(path)["Author"]]
    assert write_tags(path, {"mood-strict": ["happy", "party"]}).changed
    assert read_tags(path) == {"mood-strict": ("happy", "party")}
    assert [str(value) for value in mutagen.File(path)["Author"]] == before

"""Decoding: every container, one level, and files that are odd, damaged, or no audio at all."""

from __future__ import annotations

import os
import random
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import av.error
import numpy as np
import pytest
from tests.audio_files import KINDS, SECONDS, AudioFiles, dff_bytes, dsf_bytes, encode, float_wav, tones, wav_bytes
from tests.signals import tone, varied, whole, write_wav

from nomarr.audio.decode import RATE, Sound
from nomarr.audio.header import read_header
from nomarr.errors import UnreadableAudio, VanishedFile
from powers import without_powers

DAMAGED = ("flac", "mp3_cbr", "ogg", "m4a", "opus", "wv", "aac", "mka")


def heard(path: Path) -> tuple[Sound, np.ndarray]:
    sound = Sound(path)
    return sound, np.concatenate(list(sound.blocks()))


def refusal(path: Path) -> str:
    with pytest.raises(UnreadableAudio) as caught:
        heard(path)
    return caught.value.why


def peak_at(frequency: float, samples: np.ndarray) -> float:
    """The peak of a tone within the samples, away from their ends."""
    inner = samples[RATE // 2 : -RATE // 2]
    return 2 * abs(np.mean(inner * np.exp(-2j * np.pi * frequency * np.arange(len(inner)) / RATE)))


def in_graph(path: Path) -> np.ndarray:
    return np.concatenate(list(Sound(path)._decode_in_graph(read_header(path))))


def with_care(path: Path) -> np.ndarray:
    return np.concatenate(list(Sound(path)._decode_with_care(read_header(path))))


def as_heard(path: Path) -> np.ndarray:
    """At the file's own rate."""
    return np.concatenate(list(Sound(path)._native_blocks(read_header(path))))


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def garbled(content: bytes, seed: int, *, share: float = 0.02) -> bytes:
    """A stretch in the middle replaced by noise."""
    rng = random.Random(seed)
    length = int(len(content) * share)
    begin = rng.randrange(int(len(content) * 0.3), int(len(content) * 0.7))
    return content[:begin] + rng.randbytes(length) + content[begin + length :]


def flipped(content: bytes, seed: int) -> bytes:
    """Single bits turned over, between an eighth and seven eighths of the file."""
    rng = random.Random(seed)
    damaged = bytearray(content)
    for _ in range(rng.choice((1, 5, 50))):
        damaged[rng.randrange(len(content) // 8, len(content) * 7 // 8)] ^= 1 << rng.randrange(8)
    return bytes(damaged)


# Healthy files


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_file_gives_its_whole_sound_at_its_level(kind, audio_files: AudioFiles):
    sound, samples = heard(audio_files[kind])
    assert sound.duration_s == pytest.approx(SECONDS, abs=0.05)
    assert len(samples) == pytest.approx(sound.duration_s * RATE, abs=2)
    assert (sound.bad_packets, sound.missing_s) == (0, 0)
    # (L + R) / 2, not the 3 dB more that libswresample gives floats by default
    assert peak_at(440, samples) == pytest.approx(0.25, rel=0.05)
    assert peak_at(660, samples) == pytest.approx(0.125, rel=0.05)


@pytest.mark.parametrize("kind", KINDS)
def test_both_ways_of_decoding_give_the_same_samples(kind, audio_files: AudioFiles):
    path = audio_files[kind]
    if kind in ("mp2", "speex"):  # whose first frame has another layout than the header: never decoded in the graph
        with pytest.raises(av.error.FFmpegError):
            in_graph(path)
    else:
        assert np.array_equal(in_graph(path), with_care(path))


def test_dsd_is_brought_down_to_a_rate_without_its_noise(tmp_path):
    sound, samples = heard(written(tmp_path / "a.dsf", dsf_bytes(3.0, 0.4)))
    assert sound.sample_rate == 44100
    assert sound.duration_s == pytest.approx(3.0, abs=0.05)
    assert peak_at(440, samples) == pytest.approx(0.4, rel=0.02)
    assert np.sqrt(np.mean(samples**2)) == pytest.approx(0.4 / np.sqrt(2), rel=0.02)


def test_a_dsd_file_that_ends_within_a_sample_is_decoded_to_there(tmp_path: Path) -> None:
    path = written(tmp_path / "a.dff", dff_bytes(b"\x69" * (2 * 4096 * 90 + 1)))
    command = "import sys; from nomarr.audio.decode import Sound; print(sum(map(len, Sound(sys.argv[1]).blocks())))"
    done = subprocess.run([sys.executable, "-c", command, path], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) == pytest.approx(4096 * 90 / 352800 * 16000, abs=200)


def test_one_channel_keeps_its_level(tmp_path):
    samples = heard(write_wav(tmp_path / "a.wav", whole(tone()), 44100))[1]
    assert peak_at(440, samples) == pytest.approx(0.5, rel=0.01)


@pytest.mark.parametrize("ending", ["wav", "flac", "m4a", "opus"])
def test_six_channels_are_mixed_without_clipping(ending, tmp_path):
    source = tones("|".join(["0.9*sin(2*PI*440*t)"] * 6) + ":c=5.1", rate=48000, s=3)
    samples = heard(encode(tmp_path / f"a.{ending}", source=source))[1]
    assert 0.5 < peak_at(440, samples) < 0.95


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 22050, 32000, 48000, 96000, 192000])
def test_every_common_rate_is_read(rate, tmp_path):
    sound, samples = heard(write_wav(tmp_path / "a.wav", whole(tone(rate=rate)), rate))
    assert sound.sample_rate == rate
    assert len(samples) == pytest.approx(4 * RATE, abs=1)
    assert peak_at(440, samples) == pytest.approx(0.5, rel=0.02)


def test_a_cover_picture_is_no_sound(tmp_path, audio_files: AudioFiles):
    picture = ["-f", "lavfi", "-i", "color=red:s=64x64:d=0.04", "-map", "0", "-map", "1"]
    for name in ("a.mp3", "a.flac", "a.m4a"):
        covered = encode(tmp_path / name, *picture, "-c:v", "png", "-disposition:v", "attached_pic")
        assert heard(covered)[0].duration_s == pytest.approx(SECONDS, abs=0.05)


def test_tags_that_are_not_utf8_do_no_harm(tmp_path):
    path = encode(tmp_path / "a.flac", "-metadata", "title=PLACEHOLDER")
    content = path.read_bytes()
    assert b"PLACEHOLDER" in content
    path.write_bytes(content.replace(b"PLACEHOLDER", b"\xff\xfe caf\xe9 \x80\x80\x80"))
    assert heard(path)[0].duration_s == SECONDS


@pytest.mark.parametrize(
    "name",
    [
        "a\nline.mp3",
        "\"double\" and 'single'.mp3",
        "co:lon.mp3",
        "http:not an address.mp3",
        "back\\slash.mp3",
        "100%d %s.mp3",
        "[square] {curly} (round); comma, = and @.mp3",
        " blanks .mp3",
        "-dash.mp3",
        "no ending",
        "Ænima – 日本語 😀.mp3",
        os.fsdecode(b"latin caf\xe9 \xff\xfe.mp3"),
    ],
)
def test_every_name_a_file_can_have_is_opened(name, tmp_path, audio_files: AudioFiles):
    path = written(tmp_path / name, audio_files.content("mp3_cbr"))
    assert heard(path)[0].duration_s == pytest.approx(SECONDS, abs=0.05)


def test_a_long_id3_tag_does_not_hide_the_length_that_the_file_declares(tmp_path, audio_files: AudioFiles):
    content = audio_files.content("mp3_cbr")
    assert heard(written(tmp_path / "whole.mp3", id3(b"\0" * 100_000) + content))[0].duration_s == SECONDS
    assert "2 of its 6 seconds" in refusal(
        written(tmp_path / "cut.mp3", id3(b"\0" * 100_000) + content[: len(content) * 2 // 5])
    )


def test_words_in_a_tag_are_not_taken_for_a_declared_length(tmp_path, audio_files: AudioFiles):
    words = b"Info\0\0\0\x01\x7f\xff\xff\xff Xing\0\0\0\x01\x7f\xff\xff\xff VBRI" + b"\x7f" * 40
    path = written(tmp_path / "a.mp3", id3(words) + audio_files.content("mp3_without_xing"))
    assert heard(path)[0].duration_s == pytest.approx(SECONDS, abs=0.05)


def id3(content: bytes) -> bytes:
    size = bytes(len(content) >> shift & 127 for shift in (21, 14, 7, 0))
    return b"ID3\x03\0\0" + size + content


def test_joined_mp3s_of_different_rates_and_channels_are_heard_to_the_end(tmp_path, audio_files: AudioFiles):
    plain = ["-c:a", "libmp3lame", "-write_xing", "0", "-id3v2_version", "0"]
    other = encode(tmp_path / "other.mp3", *plain, source=tones("0.25*sin(2*PI*440*t)", rate=22050)).read_bytes()
    first = audio_files.content("mp3_without_xing")
    for joined in (first + other, other + first):
        sound, samples = heard(written(tmp_path / "joined.mp3", joined))
        assert sound.duration_s == pytest.approx(2 * SECONDS, abs=0.2)
        for half in (samples[: 5 * RATE], samples[-5 * RATE :]):
            assert peak_at(440, half) == pytest.approx(0.25, rel=0.1)


def test_chained_ogg_streams_are_heard_to_the_end(tmp_path, audio_files: AudioFiles):
    sound, _ = heard(written(tmp_path / "a.ogg", audio_files.content("ogg") * 2))
    assert sound.duration_s == pytest.approx(2 * SECONDS, abs=0.1)
    assert sound.missing_s == 0


# What a header says


@pytest.mark.parametrize("declared", [0, 0x7FFFF000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF])
def test_a_wav_written_into_a_pipe_is_read_to_its_end(declared, tmp_path):
    path = written(tmp_path / "a.wav", wav_bytes(whole(tone()).tobytes(), declared=declared))
    assert heard(path)[0].duration_s == 4.0


def test_a_wav_that_declares_more_than_it_holds_is_refused(tmp_path):
    path = written(tmp_path / "a.wav", wav_bytes(whole(tone()).tobytes(), declared=50_000_000))
    assert "4 of its 567 seconds" in refusal(path)


@pytest.mark.parametrize("rate", [1, 100, 1999])
def test_an_absurd_sample_rate_is_refused(rate, tmp_path):
    path = written(tmp_path / "a.wav", wav_bytes(whole(tone()).tobytes(), rate=rate))
    assert refusal(path) == f"its audio stream has a sample rate of {rate} Hz"


def test_an_unknown_format_of_sound_is_refused(tmp_path):
    path = written(tmp_path / "a.wav", wav_bytes(bytes(100_000), kind=0x4242))
    assert refusal(path) == "its sound has a format that no decoder is known for"


@pytest.mark.parametrize("channels", [0, 65, 300])
def test_an_absurd_number_of_channels_is_refused(channels, tmp_path):
    assert refusal(written(tmp_path / "a.wav", wav_bytes(bytes(100_000), channels=channels)))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e30])
def test_samples_that_are_no_sound_are_refused(value, tmp_path):
    samples = tone()
    samples[100_000] = value
    assert "no sound" in refusal(written(tmp_path / "a.wav", float_wav(samples)))


def test_floats_on_the_scale_of_integers_pass(tmp_path):
    samples = heard(written(tmp_path / "a.wav", float_wav(tone() * 2.0**31)))[1]
    assert peak_at(440, samples) == pytest.approx(2.0**30, rel=0.01)


# Damaged files


@pytest.mark.parametrize(
    "kind", ["flac", "m4a_faststart", "mp3_cbr", "mp3_vbr", "wav16", "aiff", "au", "wv", "tta", "wma"]
)
def test_a_truncated_file_is_refused_with_both_durations(kind, tmp_path, audio_files: AudioFiles):
    content = audio_files.content(kind)
    path = written(tmp_path / audio_files[kind].name, content[: len(content) * 2 // 5])
    assert refusal(path) == "damaged or cut short: 2 of its 6 seconds could be decoded"


@pytest.mark.parametrize("kind", ["ogg", "opus", "oggflac"])
def test_an_ogg_file_that_ends_within_a_page_is_refused(kind, tmp_path, audio_files: AudioFiles):
    content = audio_files.content(kind)
    assert "last page" in refusal(written(tmp_path / "a.ogg", content[: len(content) * 2 // 3]))


@pytest.mark.parametrize("kind", ["m4a", "alac"])
def test_a_truncated_mp4_with_its_index_at_the_end_is_refused(kind, tmp_path, audio_files: AudioFiles):
    content = audio_files.content(kind)
    assert "not an audio file" in refusal(written(tmp_path / "a.m4a", content[: len(content) * 2 // 3]))


def test_a_truncated_mp3_that_declares_nothing_is_heard_as_far_as_it_goes(tmp_path, audio_files: AudioFiles):
    content = audio_files.content("mp3_without_xing")
    assert heard(written(tmp_path / "a.mp3", content[: len(content) // 2]))[0].duration_s == pytest.approx(3.0, abs=0.2)


@pytest.mark.parametrize("kind", ["flac", "mp3_cbr", "m4a", "alac", "aac", "ac3", "tta"])
def test_the_quick_way_stumbles_over_damage_and_the_careful_way_goes_on_from_there(
    kind, tmp_path, audio_files: AudioFiles
):
    path = written(tmp_path / audio_files[kind].name, garbled(audio_files.content(kind), seed=4))
    with pytest.raises(av.error.FFmpegError):
        in_graph(path)
    assert np.array_equal(as_heard(path), with_care(path))


@pytest.mark.parametrize("kind", ["mp3_cbr", "m4a", "aac"])
def test_damage_costs_little_more_than_the_damaged_packets(kind, tmp_path, audio_files: AudioFiles):
    sound, _ = heard(written(tmp_path / audio_files[kind].name, garbled(audio_files.content(kind), seed=5)))
    assert sound.bad_packets > 0
    assert sound.duration_s > SECONDS - 0.5


@pytest.mark.parametrize("kind", ["ogg", "opus"])
def test_ogg_pages_that_fell_out_are_counted(kind, tmp_path):
    path = encode(tmp_path / f"whole.{kind}", *KINDS[kind][1], source=tones(s=40))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    sound, _ = heard(written(tmp_path / f"a.{kind}", bytes(content)))
    assert 0.2 < sound.missing_s < 2.1
    assert sound.duration_s + sound.missing_s == pytest.approx(40, abs=0.1)


def test_an_ogg_file_of_which_much_is_lost_is_refused(tmp_path):
    path = encode(tmp_path / "whole.ogg", *KINDS["ogg"][1], source=tones(s=40))
    content = bytearray(path.read_bytes())
    for at in range(len(content) // 4, len(content) * 3 // 4, 1000):
        content[at] ^= 255
    assert "of its 40 seconds" in refusal(written(tmp_path / "a.ogg", bytes(content)))


@pytest.mark.parametrize("damage", [flipped, garbled])
@pytest.mark.parametrize("kind", DAMAGED)
def test_whatever_is_damaged_is_heard_or_refused_with_a_reason(kind, damage, tmp_path, audio_files: AudioFiles):
    name, content = audio_files[kind].name, audio_files.content(kind)
    for seed in range(15):
        path = written(tmp_path / name, damage(content, seed))
        try:
            sound, samples = heard(path)
        except UnreadableAudio:
            continue
        assert np.isfinite(samples).all()
        assert sound.duration_s < SECONDS + 0.1
        if kind not in ("ogg", "opus", "aac"):  # which do not say how long they are
            assert sound.duration_s > SECONDS - 2.1


@pytest.mark.parametrize("kind", ["flac", "mp3_cbr", "ogg", "m4a", "wav16", "wma", "wv", "aiff"])
def test_a_damaged_header_is_heard_or_refused_with_a_reason(kind, tmp_path, audio_files: AudioFiles):
    name, content = audio_files[kind].name, audio_files.content(kind)
    rng = random.Random(9)
    for _ in range(20):
        damaged = bytearray(content)
        for _ in range(4):
            damaged[rng.randrange(300)] = rng.randrange(256)
        with suppress(UnreadableAudio):
            heard(written(tmp_path / name, bytes(damaged)))


# What is no audio file, or not there


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("text.mp3", b"This is no music.\n" * 500),
        ("noise.flac", random.Random(1).randbytes(50_000)),
        ("noise.mp3", random.Random(2).randbytes(500)),
        ("zeros.wav", bytes(10_000)),
        ("header.wav", wav_bytes(b"", declared=100_000)),
        ("header.flac", b"fLaC\x80\0\0\x22"),
        ("page.jpg", b"\xff\xd8\xff\xe0" + bytes(5000)),
    ],
)
def test_what_is_no_audio_is_refused(name, content, tmp_path):
    assert refusal(written(tmp_path / name, content))


def test_the_header_of_a_flac_without_frames_is_refused(tmp_path, audio_files: AudioFiles):
    content = audio_files.content("flac")
    assert refusal(written(tmp_path / "a.flac", content[: content.index(b"\xff\xf8", 42)]))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.mp3", "ffconcat version 1.0\nfile other.flac\n"),
        ("a.m3u8", "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nother.flac\n#EXT-X-ENDLIST\n"),
        ("a.mp3", "ffconcat version 1.0\nfile http://127.0.0.1:{port}/other.flac\n"),
        ("a.m3u8", "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nhttp://127.0.0.1:{port}/a.ts\n#EXT-X-ENDLIST\n"),
    ],
)
def test_a_playlist_is_followed_neither_to_files_nor_to_the_network(name, text, tmp_path, audio_files: AudioFiles):
    written(tmp_path / "other.flac", audio_files.content("flac"))
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.1)
        path = written(tmp_path / name, text.format(port=server.getsockname()[1]).encode())
        assert refusal(path)
        with pytest.raises(TimeoutError):
            server.accept()


def test_an_empty_file_is_refused(tmp_path):
    assert refusal(written(tmp_path / "a.mp3", b"")) == "the file is empty"


def test_a_picture_has_no_audio(tmp_path):
    path = encode(tmp_path / "a.png", "-frames:v", "1", source="color=red:s=64x64:d=0.04")
    assert refusal(path) == "has no audio stream"


def test_a_folder_is_refused(tmp_path):
    assert refusal(tmp_path) == "is a folder"


def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.mp3")
    assert refusal(tmp_path / "a.mp3") == "is no regular file"


@pytest.mark.parametrize("name", ["none.mp3", "below/none.mp3", "loop.mp3", "dangling.mp3", "zero\0byte.mp3"])
def test_what_is_not_there_has_vanished(name, tmp_path):
    written(tmp_path / "below", b"a file, no folder")
    (tmp_path / "loop.mp3").symlink_to("loop.mp3")
    (tmp_path / "dangling.mp3").symlink_to("nowhere.mp3")
    with pytest.raises(VanishedFile):
        heard(tmp_path / name)


def test_a_file_that_may_not_be_read_counts_as_vanished(tmp_path, audio_files: AudioFiles):
    path = written(tmp_path / "a.mp3", audio_files.content("mp3_cbr"))
    path.chmod(0)
    with without_powers(), pytest.raises(VanishedFile):
        heard(path)


def test_a_file_that_goes_away_between_two_looks_has_vanished(tmp_path, audio_files: AudioFiles):
    path = written(tmp_path / "a.mp3", audio_files.content("mp3_cbr"))
    header = read_header(path)
    path.unlink()
    with pytest.raises(VanishedFile):
        list(Sound(path)._native_blocks(header))


def test_a_file_deleted_while_it_is_heard_is_heard_to_the_end(tmp_path, audio_files: AudioFiles):
    path = written(tmp_path / "a.mp3", audio_files.content("mp3_cbr"))
    sound = Sound(path)
    blocks = sound.blocks()
    next(blocks)
    path.unlink()
    list(blocks)
    assert sound.duration_s == pytest.approx(SECONDS, abs=0.05)


def test_the_reason_names_the_file_in_printable_characters(tmp_path):
    path = written(tmp_path / os.fsdecode(b"a\n\xff.mp3"), b"text, no music")
    with pytest.raises(UnreadableAudio) as caught:
        heard(path)
    assert str(caught.value).isprintable()
    assert str(caught.value).startswith(str(tmp_path))


def test_signals_survive_a_lossless_file_bit_for_bit(tmp_path):
    samples = whole(varied())
    assert np.array_equal(heard(write_wav(tmp_path / "a.wav", samples, RATE))[1], samples.astype(np.float32) / 32768)

"""Real files of every container and tag layout, with fields and pictures of other programs."""

from __future__ import annotations

import base64
import struct
import subprocess
from pathlib import Path
from typing import Any

import mutagen
from mutagen.apev2 import APEv2
from mutagen.asf import ASFByteArrayAttribute
from mutagen.flac import FLAC, Picture
from mutagen.id3 import APIC, COMM, ID3, POPM, TALB, TCON, TDAT, TIT2, TPE1, TRCK, TSOP, TXXX, TYER
from mutagen.mp4 import MP4Cover, MP4FreeForm
from mutagen.wave import WAVE

JPEG = b"\xff\xd8\xff\xe0" + bytes(range(256)) * 20 + b"\xff\xd9"

# name: (ending, ffmpeg's arguments)
ENCODED = {
    "mp3_v23": ("mp3", ["-c:a", "libmp3lame", "-id3v2_version", "0"]),
    "mp3_v24": ("mp3", ["-c:a", "libmp3lame", "-id3v2_version", "0"]),
    "mp3_id3v1": ("mp3", ["-c:a", "libmp3lame", "-id3v2_version", "0"]),
    "mp3_ape": ("mp3", ["-c:a", "libmp3lame", "-id3v2_version", "0"]),
    "mp3_bare": ("mp3", ["-c:a", "libmp3lame", "-id3v2_version", "0"]),
    "flac": ("flac", ["-c:a", "flac"]),
    "flac_id3": ("flac", ["-c:a", "flac"]),
    "ogg": ("ogg", ["-c:a", "libvorbis"]),
    "opus": ("opus", ["-c:a", "libopus"]),
    "speex": ("spx", ["-c:a", "libspeex", "-ar", "16000", "-ac", "1"]),
    "oggflac": ("oga", ["-c:a", "flac"]),
    "m4a": ("m4a", ["-c:a", "aac"]),
    "alac": ("m4a", ["-c:a", "alac", "-movflags", "+faststart"]),
    "wav": ("wav", ["-c:a", "pcm_s16le"]),
    "aiff": ("aiff", ["-c:a", "pcm_s16be"]),
    "wma": ("wma", ["-c:a", "wmav2"]),
    "wv": ("wv", ["-c:a", "wavpack"]),
    "wv_id3v1": ("wv", ["-c:a", "wavpack"]),
    "tta": ("tta", ["-c:a", "tta"]),
    "mka": ("mka", ["-c:a", "flac"]),
    "aac": ("aac", ["-c:a", "aac"]),
}
HAND_MADE = ("dsf", "dff", "ape", "mpc")
WRITABLE = [name for name in ENCODED if name not in ("mka", "aac")] + list(HAND_MADE)
DECODABLE = [name for name in WRITABLE if name not in ("ape", "mpc")]
CONTAINER = {
    "mp3_v23": "mp3",
    "mp3_v24": "mp3",
    "mp3_id3v1": "mp3",
    "mp3_ape": "mp3",
    "mp3_bare": "mp3",
    "flac_id3": "flac",
    "oggflac": "ogg",
    "alac": "m4a",
    "wv_id3v1": "wv",
}


def make_noise(path: Path, arguments: list[str], seed: int, seconds: float = 1) -> None:
    source = f"anoisesrc=d={seconds}:c=pink:r=44100:a=0.3:seed={seed}"
    command = ["ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i", source, "-ac", "2", *arguments, str(path)]
    subprocess.run(command, check=True)


def _dsd(size: int) -> bytes:
    return bytes((i * 7 + (i >> 8) * 13) & 0xFF for i in range(size))


def _dsf() -> bytes:
    audio = _dsd(2 * 4096 * 4)
    fmt = struct.pack("<4sQIIIIIIQII", b"fmt ", 52, 1, 0, 2, 2, 2822400, 1, 4096 * 4 * 8, 4096, 0)
    data = struct.pack("<4sQ", b"data", 12 + len(audio)) + audio
    return struct.pack("<4sQQQ", b"DSD ", 28, 28 + len(fmt) + len(data), 0) + fmt + data


def _dff() -> bytes:
    def chunk(name: bytes, body: bytes) -> bytes:
        return name + struct.pack(">Q", len(body)) + body + b"\0" * (len(body) & 1)

    sound = b"SND " + chunk(b"FS  ", struct.pack(">I", 2822400))
    sound += chunk(b"CHNL", struct.pack(">H", 2) + b"SLFTSRGT") + chunk(b"CMPR", b"DSD \x0enot compressed")
    body = b"DSD " + chunk(b"FVER", struct.pack(">I", 0x01050000)) + chunk(b"PROP", sound)
    return chunk(b"FRM8", body + chunk(b"DSD ", _dsd(32768)[::-1]))


def _ape() -> bytes:
    descriptor = struct.pack("<4sHHIIIIIII16s", b"MAC ", 3990, 0, 52, 24, 0, 0, 20000, 0, 0, bytes(16))
    header = struct.pack("<HHIIIHHI", 2000, 0, 73728, 44100, 1, 16, 2, 44100)
    return descriptor + header + _dsd(20000)


def _mpc() -> bytes:
    samples = bytes([0x82, 0xD8, 0x44])  # 44100, seven bits a byte
    stream_header = bytes(4) + b"\x08" + samples + b"\x00" + bytes([0x0F, 0x1B])
    gain = b"\x01" + bytes(8)
    audio = _dsd(20000)
    audio_size = len(audio) + 2 + 3
    audio_header = bytes([0x80 | audio_size >> 14, 0x80 | audio_size >> 7 & 0x7F, audio_size & 0x7F])
    packets = b"SH" + bytes([len(stream_header) + 3]) + stream_header + b"RG" + bytes([len(gain) + 3]) + gain
    return b"MPCK" + packets + b"AP" + audio_header + audio + b"SE\x03"


def _id3_frames(version: int) -> list:
    frames = [
        TIT2(encoding=1, text=["Tëst"]),
        TPE1(encoding=1, text=["One", "Two"]),
        TALB(encoding=1, text=["An album"]),
        TRCK(encoding=0, text=["3/12"]),
        TCON(encoding=1, text=["Jazz", "Free Jazz"]),
        TXXX(encoding=1, desc="MOOD", text=["calm", "dark"]),
        TXXX(encoding=1, desc="nomad", text=["not ours"]),
        COMM(encoding=1, lang="eng", desc="", text=["a comment"]),
        POPM(email="me@example.org", rating=196, count=7),
        APIC(encoding=0, mime="image/jpeg", type=3, desc="front", data=JPEG),
        APIC(encoding=0, mime="image/jpeg", type=4, desc="back", data=JPEG[::-1]),
    ]
    if version == 3:
        # Real programs leave such a mixture, and a conversion to 2.4 and back would lose it.
        frames += [
            TYER(encoding=0, text=["1999"]),
            TDAT(encoding=0, text=["3112"]),
            TSOP(encoding=1, text=["S"]),
        ]
    return frames


def _dress_id3(path: Path, name: str) -> None:
    version = 3 if name in ("mp3_v23", "mp3_id3v1", "wav") else 4
    audio = ID3() if name.startswith("mp3") or name in ("flac_id3", "tta") else mutagen.File(path)
    if not isinstance(audio, ID3) and audio.tags is None:
        audio.add_tags()
    tags = audio if isinstance(audio, ID3) else audio.tags
    for frame in _id3_frames(version):
        tags.add(frame)
    only_at_front = {"v1": 2 if name == "mp3_id3v1" else 1} if isinstance(audio, ID3 | WAVE) else {}
    tags.save(path, v2_version=version, v23_sep=None, **only_at_front)


def _dress_vorbis(path: Path, name: str) -> None:
    audio = mutagen.File(path)
    audio["TITLE"], audio["ARTIST"] = "Tëst", ["One", "Two"]
    audio["Album"], audio["GENRE"] = "An album", ["Jazz", "Free Jazz"]
    audio["TRACKNUMBER"], audio["MOOD"], audio["NOMAD"] = "3/12", ["calm", "dark"], "not ours"
    picture = Picture()
    picture.type, picture.mime, picture.data = 3, "image/jpeg", JPEG
    if isinstance(audio, FLAC):
        audio.add_picture(picture)
    else:
        audio["METADATA_BLOCK_PICTURE"] = base64.b64encode(picture.write()).decode()
    audio.save()
    if name == "flac_id3":
        _dress_id3(path, name)


def _dress_mp4(path: Path) -> None:
    audio = mutagen.File(path)
    audio["©nam"], audio["©ART"], audio["©alb"] = ["Tëst"], ["One", "Two"], ["An album"]
    audio["©gen"], audio["trkn"], audio["tmpo"] = ["Jazz", "Free Jazz"], [(3, 12)], [120]
    audio["----:com.apple.iTunes:MOOD"] = [MP4FreeForm(b"calm"), MP4FreeForm(b"dark")]
    audio["----:org.example:nom:other"] = [MP4FreeForm(b"\x00\x01", dataformat=0)]
    audio["covr"] = [MP4Cover(JPEG, imageformat=MP4Cover.FORMAT_JPEG), MP4Cover(JPEG[::-1])]
    audio.save()


def _dress_apev2(path: Path) -> None:
    tags = APEv2()
    tags["Title"], tags["Artist"], tags["Album"] = "Tëst", ["One", "Two"], "An album"
    tags["Genre"], tags["Track"], tags["Mood"], tags["Nomad"] = (
        ["Jazz", "Free Jazz"],
        "3/12",
        ["calm", "dark"],
        "x",
    )
    tags["Cover Art (Front)"] = b"front.jpg\0" + JPEG
    tags.save(path)


def _dress_asf(path: Path) -> None:
    audio = mutagen.File(path)
    audio["Title"], audio["Author"], audio["WM/AlbumTitle"] = "Tëst", ["One", "Two"], "An album"
    audio["WM/Genre"], audio["WM/TrackNumber"], audio["WM/Mood"] = ["Jazz", "Free Jazz"], 3, ["calm", "dark"]
    audio["Nomad"] = "not ours"
    cover = struct.pack("<BI", 3, len(JPEG)) + "image/jpeg\0front\0".encode("utf-16-le") + JPEG
    audio["WM/Picture"] = [ASFByteArrayAttribute(cover)]
    audio.save()


def _append_id3v1(path: Path, genre: bytes = b"\x08") -> None:
    tag = b"TAG" + b"Only in ID3v1".ljust(30, b"\0") + b"Somebody".ljust(30, b"\0") + bytes(30) + b"1987" + bytes(30)
    with path.open("ab") as file:
        file.write(tag + genre)


def _dress(path: Path, name: str) -> None:
    """Gives the file fields and pictures of other programs, as its container likes them."""
    if name in ("mp3_bare", "mka", "aac"):
        return
    if name in ("flac", "flac_id3", "ogg", "opus", "speex", "oggflac"):
        _dress_vorbis(path, name)
    elif name in ("m4a", "alac"):
        _dress_mp4(path)
    elif name in ("wv", "wv_id3v1", "ape", "mpc"):
        _dress_apev2(path)
    elif name == "wma":
        _dress_asf(path)
    else:
        _dress_id3(path, name)
    if name == "mp3_ape":
        _dress_apev2(path)
    if name in ("mp3_ape", "mp3_id3v1", "wv_id3v1"):
        if name == "mp3_id3v1":
            path.write_bytes(path.read_bytes()[:-128])
        _append_id3v1(path)


def make_all(folder: Path, seconds: float = 1) -> dict[str, Path]:
    made = {}
    for name, (ending, arguments) in ENCODED.items():
        made[name] = folder / f"{name}.{ending}"
        make_noise(made[name], arguments, seed=7, seconds=seconds)
    for name, content in zip(HAND_MADE, (_dsf(), _dff(), _ape(), _mpc()), strict=True):
        made[name] = folder / f"{name}.{name}"
        made[name].write_bytes(content)
    for name, path in made.items():
        _dress(path, name)
    return made


def drop_standard(path: Path, name: str) -> None:
    """Takes MOOD and GENRE of other programs out of every tag of the file."""
    if name == "mp3_bare":
        return
    has_id3v1 = path.read_bytes()[-128:].startswith(b"TAG")
    if has_id3v1:
        path.write_bytes(path.read_bytes()[:-128])
    if name == "mp3_ape":
        _drop(APEv2(path), path)
    if name in ("mp3_v23", "mp3_id3v1", "wav"):
        _drop((WAVE if name == "wav" else ID3)(path, translate=False), path, v2_version=3, v23_sep=None)
    elif name == "flac_id3":
        _drop(ID3(path), path)
        _drop(FLAC(path), path)
    else:
        _drop(mutagen.File(path), path)
    if has_id3v1:
        _append_id3v1(path, genre=b"\xff")


def _drop(audio: Any, path: Path, **options: Any) -> None:
    for key in list(audio.keys()):
        if key.upper().rpartition(":")[2].removeprefix("WM/") in ("MOOD", "GENRE", "TMOO", "TCON", "©GEN"):
            del audio[key]
    audio.save(path, **options)


def outside_view(path: Path) -> dict[str, str]:
    """All fields but ours as mutagen shows them to other programs."""
    audio = mutagen.File(path)
    shown = {} if audio.tags is None else {str(key): repr(audio.tags[key]) for key in set(audio.keys())}
    for number, picture in enumerate(getattr(audio, "pictures", ())):
        shown[f"picture {number}"] = repr(picture.write())
    return {key: value for key, value in shown.items() if not _is_ours(key)}


def _is_ours(key: str) -> bool:
    return key.lower().startswith(("nom:", "txxx:nom:", "----:com.apple.itunes:nom:"))


def untouched(path: Path) -> tuple[int, ...]:
    """What changes as soon as somebody writes to the file or puts another in its place."""
    state = path.stat()
    return state.st_ino, state.st_size, state.st_mode, state.st_mtime_ns, state.st_ctime_ns


def decoded(path: Path) -> str:
    """A checksum of the sound as ffmpeg decodes it."""
    command = ["ffmpeg", "-v", "error", "-i", str(path), "-map", "0:a", "-c:a", "pcm_s16le", "-f", "md5", "-"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout

"""RIFF INFO: what WAV files say of themselves without ID3; it has no room for fields of ours."""

from __future__ import annotations

from typing import BinaryIO

from nomarr.tagfiles.containers import sniff
from nomarr.tagfiles.family import Fields

NAMES = {
    b"INAM": "TITLE",
    b"IART": "ARTIST",
    b"IPRD": "ALBUM",
    b"ICRD": "DATE",
    b"IPRT": "TRACKNUMBER",
    b"ITRK": "TRACKNUMBER",
    b"IGNR": "GENRE",
    b"ICMT": "COMMENT",
}
_LONGEST = 1 << 20


def read(file: BinaryIO) -> Fields:
    """Name -> value, of those that have a place in ID3 as well."""
    size, position = file.seek(0, 2), sniff(file).start + 12
    while position + 12 <= size:
        file.seek(position)
        header = file.read(12)
        length = int.from_bytes(header[4:8], "little")
        if header[:4] == b"LIST" and header[8:] == b"INFO":
            return _parsed(file.read(min(max(0, length - 4), _LONGEST)))
        position += 8 + length + (length & 1)
    return {}


def _parsed(body: bytes) -> Fields:
    found: Fields = {}
    position = 0
    while position + 8 <= len(body):
        length = int.from_bytes(body[position + 4 : position + 8], "little")
        text = _text(body[position + 8 : position + 8 + length])
        name = NAMES.get(body[position : position + 4])
        if name is not None and text:
            found.setdefault(name, (text,))
        position += 8 + length + (length & 1)
    return found


def _text(data: bytes) -> str:
    data = data.partition(b"\0")[0]
    try:
        return data.decode().strip()
    except UnicodeDecodeError:
        return data.decode("latin-1").strip()

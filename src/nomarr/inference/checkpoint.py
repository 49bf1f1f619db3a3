"""Reads the tensors of a TensorFlow V2 checkpoint ("tensor bundle") without TensorFlow.

The `.index` file is a LevelDB-style sorted table: blocks of prefix-compressed keys, found through an index block
that the 48-byte footer points to. Each value is a small protobuf message that says where in `.data` a tensor lies.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nomarr.errors import ModelProblem

FOOTER_SIZE = 48
MAGIC = 0xDB4775248B80FB57
# tensorflow.DataType numbers of what MusiCNN's checkpoints hold
DTYPES: dict[int, type[np.generic]] = {1: np.float32, 2: np.float64, 3: np.int32, 9: np.int64}


def read_checkpoint(index: bytes, data: bytes) -> dict[str, NDArray[Any]]:
    """All tensors by name, in their stored shapes. Raises ModelProblem where the bytes are not such a checkpoint."""
    try:
        return dict(_tensors(index, data))
    except (struct.error, IndexError, KeyError, OverflowError, TypeError, ValueError) as error:
        raise ModelProblem(f"damaged TensorFlow checkpoint: {error}") from error


def _tensors(index: bytes, data: bytes) -> Iterator[tuple[str, NDArray[Any]]]:
    if struct.unpack_from("<Q", index, len(index) - 8)[0] != MAGIC:
        raise ValueError("no tensor bundle index")
    at = len(index) - FOOTER_SIZE
    for _ in range(2):  # the handle of the meta-index, which says nothing here
        _, at = _varint(index, at)
    for _, handle in _block(index, *_handle(index, at)):
        for key, value in _block(index, *_handle(handle, 0)):
            if key:  # the empty key holds the bundle's header
                yield key.decode(), _tensor(dict(_message(value)), data)


def _tensor(entry: dict[int, Any], data: bytes) -> NDArray[Any]:
    shape = [dict(_message(dim)).get(1, 0) for field, dim in _message(entry.get(2, b"")) if field == 2]
    count = int(np.prod(shape, dtype=np.int64))
    return np.frombuffer(data, DTYPES[entry[1]], count, entry.get(4, 0)).reshape(shape)


def _handle(buffer: bytes, at: int) -> tuple[int, int]:
    offset, at = _varint(buffer, at)
    size, _ = _varint(buffer, at)
    return offset, size


def _block(table: bytes, offset: int, size: int) -> Iterator[tuple[bytes, bytes]]:
    if table[offset + size] != 0:
        raise ValueError("compressed blocks are not supported")
    block = table[offset : offset + size]
    restarts = struct.unpack_from("<I", block, size - 4)[0]
    end, at, key = size - 4 * (restarts + 1), 0, b""
    while at < end:
        shared, at = _varint(block, at)
        fresh, at = _varint(block, at)
        length, at = _varint(block, at)
        key = key[:shared] + block[at : at + fresh]
        at += fresh
        yield key, block[at : at + length]
        at += length


def _message(buffer: bytes) -> Iterator[tuple[int, Any]]:
    at = 0
    while at < len(buffer):
        tag, at = _varint(buffer, at)
        value: Any
        match tag & 7:
            case 0:
                value, at = _varint(buffer, at)
            case 2:
                length, at = _varint(buffer, at)
                value, at = buffer[at : at + length], at + length
            case 5:
                value, at = buffer[at : at + 4], at + 4
            case 1:
                value, at = buffer[at : at + 8], at + 8
            case kind:
                raise ValueError(f"unexpected wire type {kind}")
        yield tag >> 3, value


def _varint(buffer: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = buffer[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7

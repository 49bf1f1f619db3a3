"""TensorFlow checkpoints: read as they are written, and refused in one way when they are not."""

from __future__ import annotations

import struct
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nomarr.errors import ModelProblem
from nomarr.inference.checkpoint import MAGIC, read_checkpoint

TENSORS = {
    "conv/bias": np.array([0.5, -1.5, 2.0], np.float32),
    "conv/kernel": np.arange(24, dtype=np.float32).reshape(2, 3, 4),
    "global_step": np.array(7, np.int64),
    "power": np.array([1.5, 2.5]),
    "steps": np.array([[1, 2]], np.int32),
}
DTYPES = {"float32": 1, "float64": 2, "int32": 3, "int64": 9}


def varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 127:
        encoded.append(value & 127 | 128)
        value >>= 7
    return bytes([*encoded, value])


def field(number: int, value: int | bytes) -> bytes:
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def entry(tensor: np.ndarray, offset: int) -> bytes:
    shape = b"".join(field(2, field(1, size)) for size in tensor.shape)
    checksum = varint(6 << 3 | 5) + b"\0\0\0\0"
    return field(1, DTYPES[tensor.dtype.name]) + field(2, shape) + field(4, offset) + field(5, tensor.nbytes) + checksum


def block(entries: dict[bytes, bytes]) -> bytes:
    """Keys share their beginnings with the key before, as LevelDB writes them; one restart point."""
    written, before = b"", b""
    for key, value in entries.items():
        shared = next((i for i, (a, b) in enumerate(zip(before, key)) if a != b), min(len(before), len(key)))  # noqa: B905
        written += varint(shared) + varint(len(key) - shared) + varint(len(value)) + key[shared:] + value
        before = key
    return written + struct.pack("<II", 0, 1)


def bundle(tensors: dict[str, np.ndarray], *, per_block: int = 2, compression: int = 0) -> tuple[bytes, bytes]:
    """The .index and .data of a checkpoint, its keys spread over several blocks."""
    data, values = b"", {b"": field(1, 1)}
    for name, tensor in sorted(tensors.items()):
        values[name.encode()] = entry(tensor, len(data))
        data += tensor.tobytes()
    table, handles = b"", {}
    names = list(values)
    for first in range(0, len(names), per_block):
        part = block({name: values[name] for name in names[first : first + per_block]})
        handles[names[min(first + per_block, len(names)) - 1]] = varint(len(table)) + varint(len(part))
        table += part + bytes([compression]) + b"crc."
    meta, index = block({}), block(handles)
    meta_at, index_at = len(table), len(table) + len(meta) + 5
    table += meta + b"\0crc." + index + b"\0crc."
    footer = varint(meta_at) + varint(len(meta)) + varint(index_at) + varint(len(index))
    return table + footer.ljust(40, b"\0") + struct.pack("<Q", MAGIC), data


INDEX, DATA = bundle(TENSORS)


@pytest.mark.parametrize("per_block", [1, 2, 100])
def test_every_tensor_comes_back_with_its_shape_and_type(per_block):
    found = read_checkpoint(*bundle(TENSORS, per_block=per_block))
    assert sorted(found) == sorted(TENSORS)
    for name, tensor in TENSORS.items():
        assert found[name].dtype == tensor.dtype
        assert found[name].shape == tensor.shape
        assert np.array_equal(found[name], tensor)


def test_compressed_blocks_are_refused_by_name():
    with pytest.raises(ModelProblem, match="compressed blocks are not supported"):
        read_checkpoint(*bundle(TENSORS, compression=1))


@pytest.mark.parametrize("index", [b"", b"short", bytes(48), INDEX[:-1], INDEX[10:]])
def test_what_is_no_index_is_refused(index):
    with pytest.raises(ModelProblem, match="damaged TensorFlow checkpoint"):
        read_checkpoint(index, DATA)


def test_data_that_ends_too_early_is_refused():
    with pytest.raises(ModelProblem):
        read_checkpoint(INDEX, DATA[:-1])


@given(st.binary(max_size=400), st.binary(max_size=100))
@settings(deadline=None)
def test_no_bytes_raise_anything_but_a_model_problem(index, data):
    for ending in (b"", struct.pack("<Q", MAGIC)):
        with suppress(ModelProblem):
            read_checkpoint(index + ending, data)


@given(st.lists(st.tuples(st.integers(0, len(INDEX) - 1), st.integers(0, 255)), min_size=1, max_size=6))
@settings(deadline=None, max_examples=1000)
def test_no_damage_to_an_index_raises_anything_but_a_model_problem(changes):
    index = bytearray(INDEX)
    for at, value in changes:
        index[at] = value
    with suppress(ModelProblem):
        read_checkpoint(bytes(index), DATA)

"""The reader gives what XGBoost wrote, and refuses a length, a depth or a type before it does anything for it."""

import json
import struct
import tracemalloc
from typing import Any

import numpy as np
import pytest
import xgboost

from serving import ubjson
from tests.serving.boosters import NAMES, grown, saved


def plain(value: Any) -> Any:
    """As JSON has it: arrays as lists, every float of 32 bits."""
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, list):
        return [plain(each) for each in value]
    return float(np.float32(value)) if isinstance(value, float) else value


@pytest.mark.parametrize("depth", range(1, 9))
def test_what_is_read_is_the_json_document_of_the_same_booster(depth: int) -> None:
    booster = grown(max_depth=depth, names=NAMES)
    booster.set_attr(note="ä")
    assert plain(ubjson.read(saved(booster, "ubj"))) == plain(json.loads(saved(booster, "json")))


def test_a_dart_booster_is_read_as_its_json_document() -> None:
    booster = grown(booster="dart", rate_drop=0.5)
    assert plain(ubjson.read(saved(booster, "ubj"))) == plain(json.loads(saved(booster, "json")))


def test_what_is_written_again_is_the_same_model_to_xgboost() -> None:
    content = saved(grown(names=NAMES), "ubj")
    again = xgboost.Booster(model_file=bytearray(ubjson.written(ubjson.read(content))))
    assert saved(again, "ubj") == content


@pytest.mark.parametrize(
    ("content", "value"),
    [
        (b"Si\x02ab", "ab"),
        (b"SU\x02ab", "ab"),
        (b"SI\x00\x02ab", "ab"),
        (b"Sl\x00\x00\x00\x02ab", "ab"),
        (b"SL\x00\x00\x00\x00\x00\x00\x00\x02ab", "ab"),
        (b"{i\x01aTi\x01bFi\x01cZ}", {"a": True, "b": False, "c": None}),
        (b"[#i\x03i\xffI\x01\x00U\xff", [-1, 256, 255]),
        (b"[#i\x02d\x3f\x80\x00\x00D\x3f\xf0\x00\x00\x00\x00\x00\x00", [1.0, 1.0]),
        (b"[#i\x00", []),
        (b"{}", {}),
    ],
)
def test_each_type_of_value_is_read(content: bytes, value: object) -> None:
    assert ubjson.read(content) == value


@pytest.mark.parametrize(
    ("kind", "packed", "values"),
    [
        ("U", ">2B", (0, 255)),
        ("i", ">2b", (-1, 127)),
        ("I", ">2h", (-1, 256)),
        ("l", ">2i", (-1, 65536)),
        ("L", ">2q", (-1, 2**40)),
        ("d", ">2f", (0.5, -0.25)),
        ("D", ">2d", (0.1, -1e300)),
    ],
)
def test_each_typed_array_is_read_and_written(kind: str, packed: str, values: tuple[float, float]) -> None:
    content = b"[$" + kind.encode() + b"#L" + struct.pack(">q", 2) + struct.pack(packed, *values)
    found = ubjson.read(content)
    assert isinstance(found, np.ndarray)
    assert found.tolist() == list(values)
    assert ubjson.written(found) == content


HUGE = struct.pack(">q", 2**62)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "longer than what is left"),
        (b"{", "longer than what is left"),
        (b"{i\x01a", "longer than what is left"),
        (b"{L" + HUGE + b"a", "longer than what is left"),
        (b"SL" + HUGE, "longer than what is left"),
        (b"Si\xff", "longer than what is left"),
        (b"SL" + struct.pack(">q", -1), "longer than what is left"),
        (b"[#L" + HUGE, "longer than what is left"),
        (b"[#i\xff", "longer than what is left"),
        (b"[$d#L" + HUGE, "longer than what is left"),
        (b"[$d#L" + struct.pack(">q", -(2**62)), "longer than what is left"),
        (b"[$d#i\x02\x00\x00\x00\x00\x00\x00\x00", "longer than what is left"),
        (b"[#i\x03ZZ", "longer than what is left"),
        (b"i", "longer than what is left"),
        (b"Sd\x3f\x80\x00\x00a", "no integer"),
        (b"[ZZ]", "not counted"),
        (b"[$dd", "not counted"),
        (b"[$S#i\x01i\x01a", "array of an unknown type"),
        (b"[$Z#i\x01Z", "array of an unknown type"),
        (b"N", "unknown type of value"),
        (b"Si\x01\xff", "not UTF-8"),
        (b"{i\x01aZi\x01aZ}", "a key twice"),
        (b"ZZ", "more after the end"),
    ],
)
def test_what_is_not_of_the_dialect_is_refused(content: bytes, message: str) -> None:
    with pytest.raises(ubjson.UbjsonError, match=message):
        ubjson.read(content)


def test_a_huge_length_takes_no_memory() -> None:
    tracemalloc.start()
    try:
        for start in (b"SL", b"[#L", b"[$d#L", b"{L"):
            with pytest.raises(ubjson.UbjsonError):
                ubjson.read(start + struct.pack(">q", 2**31))
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_values_nest_32_deep_and_no_deeper() -> None:
    assert ubjson.read(b"[#i\x01" * 32 + b"Z") is not None
    for start in (b"[#i\x01", b"{i\x01a"):
        with pytest.raises(ubjson.UbjsonLimitError, match="nested deeper than 32"):
            ubjson.read(start * 100_000 + b"Z")


def test_more_values_than_a_model_has_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ubjson, "MOST_VALUES", 4)
    assert ubjson.read(b"[#i\x03ZZZ") == [None] * 3
    with pytest.raises(ubjson.UbjsonLimitError, match="more than 4 values"):
        ubjson.read(b"[#i\x04ZZZZ")


def test_a_value_that_ubj_does_not_have_is_not_written() -> None:
    with pytest.raises(TypeError, match="a set is not written"):
        ubjson.written({"a": {1}})

"""Files by their first bytes, documents by their types; what a refusal says is never what the file says."""

import gzip
import io
import json
import pickle
import struct
import zipfile
from pathlib import Path
from typing import Any

import joblib
import pytest
import xgboost

from serving import booster_file
from serving.booster_file import BoosterFileError, booster_document, kind_of, ubj_bytes
from tests.serving.boosters import KINDS, MODEL, NAMES, TREE, damaged, document, drawn_rows, grown, saved


class Marking:
    """Unpickled, it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def joblib_dump(value: object) -> bytes:
    file = io.BytesIO()
    joblib.dump(value, file)
    return file.getvalue()


def zipped(content: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("model.json", content)
    return file.getvalue()


def refused(content: bytes) -> BoosterFileError:
    with pytest.raises(BoosterFileError) as caught:
        booster_document(content)
    return caught.value


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "more",
    [
        *({"max_depth": depth} for depth in range(1, 9)),
        {"booster": "dart", "rate_drop": 0.5},
        {"tree_method": "exact", "gamma": 2.0},
        {"base_score": 0.04, "names": NAMES},
        {"num_parallel_tree": 3, "subsample": 0.5},
    ],
    ids=str,
)
def test_a_document_written_again_scores_bit_for_bit_as_its_booster(kind: str, more: dict[str, Any]) -> None:
    booster = grown(**more)
    again = xgboost.Booster(model_file=bytearray(ubj_bytes(booster_document(saved(booster, kind)))))
    rows = xgboost.DMatrix(drawn_rows(9), feature_names=more.get("names"))
    expected = booster.predict(rows, output_margin=True)
    assert again.predict(rows, output_margin=True).tobytes() == expected.tobytes()


def test_attributes_and_unknown_keys_are_left_behind() -> None:
    booster = grown()
    booster.set_attr(best_iteration="2", note="canary")
    content = damaged(document(booster), ("learner", "extra"), {"canary": [["canary"]]})
    assert b"canary" not in ubj_bytes(booster_document(content))


@pytest.mark.parametrize("dump", [pickle.dumps, joblib_dump], ids=["pickle", "joblib"])
def test_a_pickle_is_refused_unread(tmp_path: Path, dump: Any) -> None:
    content = dump(Marking(tmp_path / "marker"))
    assert refused(content).code == "unsupported_kind"
    assert not (tmp_path / "marker").exists()
    pickle.loads(content)  # noqa: S301  the control: unpickled, it would have acted
    assert (tmp_path / "marker").exists()


@pytest.mark.parametrize(
    "content",
    [
        zipped(b"{}"),
        gzip.compress(b'{"learner": {}}'),
        b"\x08\x08\x12\x07pytorch",
        b"PK\x03\x04",
        b"binf\x00\x00\x00\x3f",
        b"\xef\xbb\xbf{}",
        '{"learner": {}}'.encode("utf-16"),
        b"learner",
        b"[1]",
        b"{[",
        b" {L",
        b"\x00",
    ],
)
def test_what_does_not_begin_as_a_model_is_of_no_supported_kind(content: bytes) -> None:
    assert refused(content).code == "unsupported_kind"


def test_the_kind_is_known_by_the_first_bytes() -> None:
    booster = grown()
    assert kind_of(saved(booster, "json")) == "json"
    assert kind_of(b' \n{ "') == "json"
    assert kind_of(saved(booster, "ubj")) == "ubj"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"{ }",
        b'{"learner": {}}',
        b'{"learner": NaN}',
        b'{"a": 1e999}',
        b'{"learner": "\xff"}',
        b'{"a": "\\ud800"',
        b"{L\x00\x00\x00\x00\x00\x00\x00\x01aN}",
        b"{L" + struct.pack(">q", 2**62) + b"learner",
    ],
)
def test_what_is_no_model_inside_is_malformed(content: bytes) -> None:
    assert refused(content).code == "malformed"


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_cut_at_each_sixteenth_is_malformed(kind: str) -> None:
    content = saved(grown(), kind)
    for part in range(1, 16):
        assert refused(content[: len(content) * part // 16]).code == "malformed"


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ((*TREE, "left_children"), [1, -1, 2.5]),
        ((*TREE, "left_children"), [2**31]),
        ((*TREE, "left_children"), [2**70]),
        ((*TREE, "left_children"), [[1]]),
        ((*TREE, "left_children"), ["1"]),
        ((*TREE, "left_children"), "canary"),
        ((*TREE, "left_children"), None),
        ((*TREE, "left_children"), {}),
        ((*TREE, "split_conditions"), [None]),
        ((*TREE, "split_conditions"), [float("nan")]),
        ((*TREE, "split_conditions"), [float("inf")]),
        ((*TREE, "split_type"), [-1]),
        ((*TREE, "default_left"), [256]),
        ((*TREE, "id"), -1),
        ((*TREE, "tree_param", "num_nodes"), "-1"),
        ((*TREE, "tree_param", "num_nodes"), "canary"),
        ((*TREE, "tree_param", "num_nodes"), "1\n"),
        ((*TREE, "tree_param", "num_nodes"), 7),
        ((*TREE, "tree_param"), None),
        ((*MODEL, "tree_info"), [-1]),
        ((*MODEL, "iteration_indptr"), ["canary"]),
        ((*MODEL, "trees"), {}),
        ((*MODEL, "trees"), [["canary"]]),
        (("learner", "gradient_booster", "name"), "canary"),
        (("learner", "learner_model_param", "num_feature"), "3.0"),
        (("learner", "feature_names"), [3]),
        (("version",), [3, 2]),
        (("version",), ["canary", 2, 0]),
    ],
)
def test_a_value_of_another_type_is_malformed_and_not_repeated(path: tuple[str | int, ...], value: object) -> None:
    error = refused(damaged(document(grown()), path, value))
    assert error.code == "malformed"
    assert "canary" not in str(error)


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [("left_children", b"[$l#", b"[$d#"), ("split_conditions", b"[$d#", b"[$l#")],
)
def test_a_typed_array_of_other_numbers_than_its_field_has_is_malformed(name: str, old: bytes, new: bytes) -> None:
    content = saved(grown(trees=1), "ubj")
    other = content.replace(name.encode() + old, name.encode() + new)
    assert content != other
    assert refused(other).code == "malformed"


def test_where_a_value_is_wrong_is_said_in_our_own_words() -> None:
    content = damaged(document(grown()), (*TREE, "left_children"), "canary")
    assert str(refused(content)) == (
        "no XGBoost model is written like this, at $.learner.gradient_booster.model.trees[0].left_children"
    )


@pytest.mark.parametrize(
    "content",
    [
        b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
        b"{i\x01a" * 100_000,
    ],
    ids=["arrays", "objects", "ubj"],
)
def test_deep_nesting_is_over_the_limit(content: bytes) -> None:
    assert refused(content).code == "over_limit"


def test_a_file_of_too_many_bytes_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    content = saved(grown(), "ubj")
    monkeypatch.setattr(booster_file, "MOST_BYTES", len(content))
    booster_document(content)
    assert refused(content + b" ").code == "too_large"


def test_a_float_too_large_for_32_bits_is_read_as_infinite() -> None:
    read = booster_document(
        json.dumps(document(grown())).replace('"loss_changes": [', '"loss_changes": [1e300, ').encode()
    )
    assert read.learner.gradient_booster.model.trees[0].loss_changes[0] == float("inf")  # type: ignore[union-attr]

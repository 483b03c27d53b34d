"""Feature sets loaded from files: what may stand in one, and what is said of one that cannot be used."""

import math
import os
import sys
from pathlib import Path

import pytest

from data_contracts.feature_set_files import FEATURE_SETS, FeatureSetError, feature_set_path, load_feature_set

HEAD = """from data_contracts.features import DAY, Count
COUNTS = (Count(("ad_id",), "clicks", DAY), Count(("ad_id",), "impressions", DAY))
"""


def feature_set(folder: Path, body: str, name: str = "mine.py") -> Path:
    file = folder / name
    file.write_text(HEAD + body)
    return file


def test_a_feature_may_use_an_earlier_feature_and_a_private_function_is_none(tmp_path):
    halves = "def _half(x): return x / 2\ndef share(ad_clicks_1d): return _half(ad_clicks_1d)\n"
    loaded = load_feature_set(feature_set(tmp_path, halves + "def twice(share): return 2 * share\n"))
    assert loaded.feature_names == ("share", "twice")
    assert loaded.row({"position": 1, "timestamp": 0, "ad_clicks_1d": 3}) == [1.5, 3.0]


def test_an_absent_count_is_0_and_an_absent_request_field_an_error(tmp_path):
    loaded = load_feature_set(feature_set(tmp_path, "def shown(ad_impressions_1d): return ad_impressions_1d\n"))
    assert loaded.row({"position": 1, "timestamp": 0}) == [0.0]
    with pytest.raises(KeyError, match="timestamp"):
        loaded.row({"position": 1})


def test_imported_functions_are_no_features(tmp_path):
    loaded = load_feature_set(feature_set(tmp_path, "from bisect import bisect\ndef slot(position): return position\n"))
    assert loaded.feature_names == ("slot",)


def test_two_versions_of_a_feature_set_live_side_by_side(tmp_path):
    body = "def slot(position): return position * {}\n"
    (tmp_path / "old").mkdir()
    one = load_feature_set(feature_set(tmp_path / "old", body.format(2)))
    other = load_feature_set(feature_set(tmp_path, body.format(3)))
    request = {"position": 5, "timestamp": 0}
    assert (one.name, other.name) == ("mine", "mine")
    assert one.hash != other.hash
    assert (one.row(request), other.row(request), one.row(request)) == ([10.0], [15.0], [10.0])


def test_a_file_changed_within_a_second_gives_its_new_code(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    body = "def slot(position): return position - {}\n"
    file = feature_set(tmp_path, body.format(2))
    os.utime(file, (1_600_000_000, 1_600_000_000))
    one = load_feature_set(file)
    feature_set(tmp_path, body.format(3))
    os.utime(file, (1_600_000_000, 1_600_000_000))
    other = load_feature_set(file)
    request = {"position": 5, "timestamp": 0}
    assert (one.row(request), other.row(request)) == ([3.0], [2.0])


def test_loading_a_feature_set_writes_nothing_beside_it(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    load_feature_set(feature_set(tmp_path, "def slot(position): return position\n"))
    assert [entry.name for entry in tmp_path.iterdir()] == ["mine.py"]


def test_the_hash_is_of_the_files_bytes(tmp_path):
    (tmp_path / "empty.py").write_bytes(b"")
    with pytest.raises(FeatureSetError):
        load_feature_set(tmp_path / "empty.py")
    file = tmp_path / "tiny.py"
    file.write_bytes(
        b"from data_contracts.features import Count\n"
        b"COUNTS = (Count(('ad_id',), 'clicks', 3600),)\n"
        b"def slot(position): return position\n"
    )
    # sha256sum of these three lines
    assert load_feature_set(file).hash == "31ec6f5ebd4301c8be78643c41006b90f9ff878e0542addcea69f786263ebadd"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        pytest.param(
            "def ctr(ad_clicks_2d): return 1.0\n",
            "ctr(ad_clicks_2d): no request field, number, count, sum, earlier",
            id="name",
        ),
        pytest.param("def ctr(later): return 1\ndef later(position): return 1\n", "ctr(later): no request", id="order"),
        pytest.param("", "defines no feature function", id="nothing"),
        pytest.param("def broken(:\n", "mine.py: ", id="syntax"),
        pytest.param("import no_such_module_anywhere\n", "No module named 'no_such_module_anywhere'", id="import"),
        pytest.param("COUNTS = ()\ndef slot(position): return 1\n", "COUNTS must be a tuple of Count", id="no counts"),
        pytest.param("COUNTS = (COUNTS[0])\ndef slot(position): return 1\n", "COUNTS must be a tuple", id="no comma"),
        pytest.param("COUNTS = ('ad',)\ndef slot(position): return 1\n", "COUNTS must be a tuple", id="not counts"),
        pytest.param(
            "COUNTS += COUNTS[:1]\ndef slot(position): return 1\n",
            "hold two inputs of one name: ad_clicks_1d",
            id="twice",
        ),
        pytest.param("Count((), 'clicks', 60)\n", "a count needs a window of whole", id="count"),
    ],
)
def test_a_feature_set_that_cannot_be_used_says_which_file_function_and_parameter(tmp_path, body, message):
    file = feature_set(tmp_path, body)
    with pytest.raises(FeatureSetError) as raised:
        load_feature_set(file)
    assert str(raised.value).startswith(f"{file}: ")
    assert message in str(raised.value)


def test_the_error_of_an_unknown_parameter_lists_what_is_known(tmp_path):
    with pytest.raises(FeatureSetError, match=r"known: ad_clicks_1d, ad_impressions_1d, position, slot, timestamp$"):
        load_feature_set(feature_set(tmp_path, "def slot(position): return 1\ndef ctr(nothing): return 1\n"))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FeatureSetError, match=r"nowhere\.py: No such file"):
        load_feature_set(tmp_path / "nowhere.py")


def test_a_feature_set_that_failed_once_can_be_mended(tmp_path):
    with pytest.raises(FeatureSetError):
        load_feature_set(feature_set(tmp_path, "1 / 0\n"))
    mended = feature_set(tmp_path, "def slot(position): return position\n")
    assert load_feature_set(mended).feature_names == ("slot",)


def test_conf_names_a_feature_set_of_ours_or_any_file():
    assert feature_set_path("ad_ctr") == FEATURE_SETS / "ad_ctr.py"
    assert feature_set_path("/elsewhere/other.py") == Path("/elsewhere/other.py")


def test_a_feature_set_says_in_which_direction_a_feature_may_move_the_score(tmp_path):
    body = "RISING = ('twice',)\nFALLING = ('half',)\ndef half(position):\n    return position / 2\n"
    functions = "def twice(position):\n    return position * 2\ndef hour(timestamp):\n    return timestamp\n"
    assert load_feature_set(feature_set(tmp_path, body + functions)).directions == (-1, 1, 0)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("RISING = ('no_such',)\ndef slot(position):\n    return position\n", "names no feature: no_such"),
        ("RISING = FALLING = ('slot',)\ndef slot(position):\n    return position\n", "both name slot"),
    ],
)
def test_a_direction_of_no_feature_or_both_directions_of_one_are_refused(tmp_path, body, words):
    with pytest.raises(FeatureSetError, match=words):
        load_feature_set(feature_set(tmp_path, body))


def test_numbers_of_the_request_or_the_catalogue_are_inputs_and_nan_where_they_are_not(tmp_path):
    body = "NUMBERS = ('features.bid', 'ad.features.price')\ndef dear(bid, price):\n    return bid * price\n"
    loaded = load_feature_set(feature_set(tmp_path, body))
    assert loaded.input_names == ("position", "timestamp", "bid", "price", "ad_clicks_1d", "ad_impressions_1d")
    assert loaded.row({"position": 1, "timestamp": 0, "bid": 2.5, "price": 4}) == [10.0]
    (absent,) = loaded.row({"position": 1, "timestamp": 0, "bid": 2.5})
    assert math.isnan(absent)
    assert loaded.input_row({"position": 1, "timestamp": 0, "price": 4, "bid": 2, "ad_clicks_1d": 3}) == [
        1,
        0,
        2,
        4,
        3,
        0,
    ]


@pytest.mark.parametrize(
    ("numbers", "words"),
    [
        ("('weather',)", "NUMBERS: weather is no key"),
        ("('features.ad_clicks_1d',)", "two inputs of one name: ad_clicks_1d"),
    ],
)
def test_a_number_that_is_none_or_has_the_name_of_another_input_is_refused(tmp_path, numbers, words):
    with pytest.raises(FeatureSetError, match=words):
        load_feature_set(feature_set(tmp_path, f"NUMBERS = {numbers}\ndef slot(position):\n    return position\n"))


def test_steps_lead_to_features_and_are_none_themselves(tmp_path):
    body = (
        "STEPS = ('doubled',)\nBASE = 'plus_one'\ndef doubled(position):\n    return 2 * position\n"
        "def plus_one(doubled):\n    return doubled + 1\n"
    )
    loaded = load_feature_set(feature_set(tmp_path, body))
    assert loaded.feature_names == ("plus_one",)
    assert loaded.row({"position": 3, "timestamp": 0}) == [7.0]
    assert (loaded.base, loaded.base_place) == ("plus_one", 0)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("STEPS = ('no_such',)", "STEPS names no function: no_such"),
        ("STEPS = ('slot',)", "defines no feature function"),
        ("BASE = 'no_such'", "BASE names no feature: no_such"),
        ("STEPS = ('slot',)\nBASE = 'slot'\ndef other(position):\n    return position", "BASE names no feature: slot"),
    ],
)
def test_steps_and_a_base_that_are_none_are_refused(tmp_path, line, words):
    with pytest.raises(FeatureSetError, match=words):
        load_feature_set(feature_set(tmp_path, f"{line}\ndef slot(position):\n    return position\n"))


def test_a_path_is_meant_from_the_root_of_the_repository():
    assert feature_set_path("tests/small_features.py") == FEATURE_SETS.parents[1] / "tests" / "small_features.py"
    assert feature_set_path("/elsewhere/mine.py") == Path("/elsewhere/mine.py")

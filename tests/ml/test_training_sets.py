"""Reading a training set: what comes back, from which version, and what is said when it is not there."""

import zlib
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from data_contracts.features import training_set_id
from data_contracts.settings import Settings
from ml.staging import TrainingSet
from ml.training_sets import TrainingSetError, read_training_set, table_versions
from tests.ml import learnable_market as market
from tests.ml.learnable_market import Laboratory

NAME = training_set_id(market.feature_set().hash, market.FIRST_AS_OF)


def training_set_of(settings: Settings, name: str, feature_names: Sequence[str]) -> TrainingSet:
    return read_training_set(settings, table_versions(settings, ["training_sets"]), name, feature_names)


def test_rows_come_in_order_of_time_as_the_model_reads_them(laboratory: Laboratory) -> None:
    rows, expected = laboratory.training_set, market.impressions()
    assert len(rows.labels) == 4 * market.IMPRESSIONS_PER_DAY + 1  # one more matures at this very instant
    assert rows.labels[:50].tolist() == [row["clicked"] for row in expected[:50]]
    assert rows.timestamps[1] == market.START.timestamp() + 86400 / market.IMPRESSIONS_PER_DAY
    assert rows.features.dtype == np.float32
    assert rows.features[7].tolist() == np.float32(market.feature_set().row(expected[7]["inputs"])).tolist()


def test_the_checksum_sees_a_changed_label(settings: Settings) -> None:
    rows = [dict(row) for row in market.impressions()[:20]]
    checksums = []
    for home, label in (("as it was", 0), ("changed", 1), ("as it was again", 0)):
        rows[5]["clicked"] = label
        lake = replace(settings, home=settings.home / home)
        market.write_training_set(lake, rows, market.FIRST_AS_OF)
        market.write_impressions(lake, rows)
        checksums.append(training_set_of(lake, NAME, market.feature_set().feature_names).checksum)
    assert checksums[0] == checksums[2] != checksums[1]


def test_the_same_rows_are_the_same_training_set_however_the_lake_keeps_them(settings: Settings) -> None:
    rows = market.impressions()[:200]
    found = []
    for home, parts, kind in (
        ("one file", [rows], "double"),
        ("three files, the newest first", [rows[150:], rows[70:150], rows[:70]], "double"),
        ("32-bit features, backwards", [rows[::-1]], "float"),
    ):
        lake = replace(settings, home=settings.home / home)
        for part in parts:
            market.write_training_set(lake, part, market.FIRST_AS_OF, kind)
        market.write_impressions(lake, rows)
        found.append(training_set_of(lake, NAME, market.feature_set().feature_names))
    assert len({each.checksum for each in found}) == 1
    for each in found[1:]:
        assert np.array_equal(each.features, found[0].features)
        assert each.hashes.tolist() == found[0].hashes.tolist()


def test_impressions_of_one_instant_are_in_the_order_of_their_ids(settings: Settings) -> None:
    rows = [dict(row, timestamp=market.START) for row in market.impressions()[:30]]
    market.write_training_set(settings, rows[::-1], market.FIRST_AS_OF)
    found = training_set_of(settings, NAME, market.feature_set().feature_names)
    assert found.hashes.tolist() == [zlib.crc32(row["impression_id"].encode()) for row in rows]
    assert found.labels.tolist() == [row["clicked"] for row in rows]


def test_staging_leaves_nothing_but_an_empty_folder(laboratory: Laboratory) -> None:
    home = laboratory.settings.home
    before = {path.name for path in home.iterdir()}
    training_set_of(laboratory.settings, NAME, market.feature_set().feature_names)
    assert {path.name for path in home.iterdir()} == before | {"staging"}
    assert list((home / "staging").iterdir()) == []


def test_versions_are_those_of_the_delta_logs(laboratory: Laboratory) -> None:
    assert table_versions(laboratory.settings, ["training_sets", "ad_impressions"]) == {
        "training_sets": 1,
        "ad_impressions": 0,
    }


def test_what_is_written_later_is_not_read(settings: Settings) -> None:
    rows = market.impressions()[:3]
    market.write_training_set(settings, rows[:2], market.FIRST_AS_OF)
    market.write_impressions(settings, rows)
    versions = table_versions(settings, ["training_sets", "ad_impressions"])
    market.write_training_set(settings, rows[2:], market.FIRST_AS_OF)
    assert len(read_training_set(settings, versions, NAME, market.feature_set().feature_names).labels) == 2


def test_a_training_set_not_built_is_an_error_that_says_how_to_build_it(laboratory: Laboratory) -> None:
    with pytest.raises(TrainingSetError, match=r"no row of absent; build it with python -m spark_jobs.build"):
        training_set_of(laboratory.settings, "absent", market.feature_set().feature_names)


def test_a_lake_without_the_table_is_an_error(settings: Settings) -> None:
    with pytest.raises(TrainingSetError, match="the lake has no table training_sets yet"):
        training_set_of(settings, NAME, market.feature_set().feature_names)


def test_rows_of_other_features_are_an_error(laboratory: Laboratory) -> None:
    with pytest.raises(TrainingSetError, match=r"has rows of \[12\] features, its feature set defines 2"):
        training_set_of(laboratory.settings, NAME, ["one", "two"])

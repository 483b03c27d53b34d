"""Metrics by what was shown where."""

from dataclasses import replace

import numpy as np
import pytest

from data_contracts.features import training_set_id
from data_contracts.settings import Settings
from ml.slice_metrics import metrics_by_slice, slice_values
from ml.splits import Slice
from ml.training_sets import table_versions
from tests.ml import learnable_market as market

NAME = training_set_id(market.feature_set().hash, market.FIRST_AS_OF)
ROWS = market.impressions()


def test_each_value_of_each_column_has_its_own_metrics_the_most_clicks_first() -> None:
    labels = np.array([1, 0, 0, 1, 1, 0], dtype=np.int8)
    scores = np.array([0.5, 0.5, 0.25, 0.5, 0.5, 0.25])
    values = np.array(["a", "b", "b", "b", "b", "c"], dtype=object)
    found = metrics_by_slice(labels, scores, {"position": values, "all_alike": np.array(["x"] * 6, dtype=object)})
    assert [(row["column"], row["value"], row["rows"], row["clicks"]) for row in found] == [
        ("position", "b", 4, 2),
        ("position", "a", 1, 1),
        ("position", "c", 1, 0),
        ("all_alike", "x", 6, 3),
    ]
    assert found[0]["calibration_ratio"] == pytest.approx((0.5 + 0.25 + 0.5 + 0.5) / 2)
    assert found[0]["log_loss"] == pytest.approx((3 * np.log(2) - np.log(0.75)) / 4)
    assert np.isnan(float(found[1]["auc"]))


def test_values_come_in_the_order_of_the_training_set_from_the_impressions(settings: Settings) -> None:
    gate = replace(settings.gate, slice_columns=("campaign_id", "position"))
    settings = replace(settings, gate=gate)
    market.write_training_set(settings, list(reversed(ROWS[:40])), market.FIRST_AS_OF)
    market.write_impressions(settings, list(reversed(ROWS[:38])))
    versions = table_versions(settings, ["training_sets", "ad_impressions"])
    window = Slice(ROWS[10]["timestamp"].timestamp(), ROWS[40]["timestamp"].timestamp())
    found = slice_values(settings, versions, NAME, window)
    assert list(found) == ["campaign_id", "position"]
    assert found["position"].tolist() == [str(row["position"]) for row in ROWS[10:38]] + ["unknown"] * 2
    assert found["campaign_id"].tolist() == [row["campaign_id"] for row in ROWS[10:38]] + ["unknown"] * 2

"""Reading what models are judged on."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from data_contracts.feature_set_files import load_feature_set
from data_contracts.features import FeatureSet, training_set_id
from data_contracts.settings import Settings
from ml.evaluate import scores_of
from ml.holdouts import Holdout, held_names, lacking, read_holdout
from ml.splits import Slice
from ml.training_sets import TrainingSetError, table_versions
from tests.ml import learnable_market as market
from tests.ml.learnable_market import Laboratory

NAME = training_set_id(market.feature_set().hash, market.FIRST_AS_OF)
DAY_4 = Slice(market.START.timestamp() + 3 * 86400, market.START.timestamp() + 4 * 86400)
TABLES = ["holdouts", "ad_impressions"]


def holdout_of(settings: Settings, window: Slice = DAY_4, input_names: Sequence[str] = ()) -> Holdout:
    names = input_names or market.feature_set().input_names
    return read_holdout(settings, table_versions(settings, TABLES), NAME, names, window)


def written(settings: Settings, rows: Sequence[Mapping[str, Any]]) -> Settings:
    market.write_holdout(settings, rows, market.FIRST_AS_OF)
    market.write_impressions(settings, rows)
    return settings


def test_the_holdout_is_its_window_with_inputs_and_slices(laboratory: Laboratory) -> None:
    holdout = holdout_of(laboratory.settings)
    expected = market.impressions()[3 * market.IMPRESSIONS_PER_DAY : 4 * market.IMPRESSIONS_PER_DAY]
    assert holdout.labels.tolist() == [row["clicked"] for row in expected]
    assert holdout.inputs.to_dict("records")[3] == expected[3]["inputs"]
    assert list(holdout.slices) == ["campaign_id", "position", "variant", "ad", "user"]
    assert holdout.slices["campaign_id"].tolist() == [row["campaign_id"] for row in expected]
    assert holdout.slices["position"].tolist() == [str(row["position"]) for row in expected]


@pytest.mark.parametrize(("ad", "user", "slices"), [(99, 0, ("new", "new")), (100, 1, ("known", "known"))])
def test_new_ads_and_users_are_slices_of_their_own(
    settings: Settings, ad: int, user: int, slices: tuple[str, str]
) -> None:
    rows = [dict(row) for row in market.impressions()[:2]]
    rows[0]["inputs"] = rows[0]["inputs"] | {"ad_impressions_28d": float(ad), "user_impressions_28d": float(user)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(market, "HISTORY", {})
        rows[1]["inputs"] = rows[1]["inputs"] | {"ad_impressions_28d": 700.0, "user_impressions_28d": 5.0}
        written(settings, rows)
    holdout = holdout_of(settings, Slice(0, DAY_4.end))
    assert (holdout.slices["ad"][0], holdout.slices["user"][0]) == slices
    assert (holdout.slices["ad"][1], holdout.slices["user"][1]) == ("known", "known")


def test_rows_of_one_user_share_a_code(laboratory: Laboratory) -> None:
    day_4 = market.impressions()[3 * market.IMPRESSIONS_PER_DAY : 4 * market.IMPRESSIONS_PER_DAY]
    users = [row["user_id"] for row in day_4]
    codes = holdout_of(laboratory.settings).users.tolist()
    assert len(set(codes)) == len(set(users)) == len(set(zip(codes, users, strict=True)))
    assert list(dict.fromkeys(codes)) == list(range(len(set(users))))  # by first appearance, whatever the pseudonyms


def test_an_impression_that_is_gone_is_kept_under_unknown(settings: Settings) -> None:
    rows = market.impressions()[:3]
    market.write_holdout(settings, rows, market.FIRST_AS_OF)
    market.write_impressions(settings, rows[:1])
    holdout = holdout_of(settings, Slice(0, DAY_4.end))
    assert holdout.slices["position"].tolist() == [str(rows[0]["position"]), "unknown", "unknown"]
    assert holdout.labels.tolist() == [row["clicked"] for row in rows]


def test_an_input_that_a_row_does_not_have_is_nan_and_is_named(settings: Settings) -> None:
    written(settings, market.impressions()[:2])
    versions = table_versions(settings, TABLES)
    assert lacking(settings, versions, NAME, ["position", "price", "ad_clicks_1d"]) == ["price"]
    assert lacking(settings, versions, "no such holdout", ["price"]) == []
    assert holdout_of(settings, Slice(0, DAY_4.end), ["position", "price"]).inputs["price"].isna().all()


def test_what_is_written_later_is_not_read(settings: Settings) -> None:
    rows = market.impressions()[:3]
    versions = table_versions(written(settings, rows[:2]), TABLES)
    market.write_holdout(settings, rows[2:], market.FIRST_AS_OF)
    names = market.feature_set().input_names
    assert len(read_holdout(settings, versions, NAME, names, Slice(0, DAY_4.end)).labels) == 2


def test_a_window_without_rows_is_an_error_that_says_how_to_make_them(laboratory: Laboratory) -> None:
    with pytest.raises(TrainingSetError, match=r"no row of .* shown in .* with python -m spark_jobs.build_holdout"):
        holdout_of(laboratory.settings, Slice(0.0, 1.0))


def test_a_slice_column_that_impressions_do_not_have_is_an_error(laboratory: Laboratory) -> None:
    gate = replace(laboratory.settings.gate, slice_columns=("position", "weather"))
    with pytest.raises(TrainingSetError, match=r"slice_columns: ad_impressions has no column weather"):
        holdout_of(replace(laboratory.settings, gate=gate))


def test_sums_of_one_name_reach_each_model_as_its_own(tmp_path: Path) -> None:
    """Two models of which each sums another thing under the same name."""
    holdout = holdout_of_sums(tmp_path, {"one": 0.25, "other": 0.5})
    for name, value in (("one", 0.25), ("other", 0.5)):
        model = Telling(load_feature_set(tmp_path / f"{name}.py"))
        assert scores_of(model, holdout).tolist() == [value]


class Telling:
    """In place of a pyfunc: its probability is its sum."""

    def __init__(self, feature_set: FeatureSet) -> None:
        self.feature_set = feature_set

    def unwrap_python_model(self) -> "Telling":
        return self

    def predict(self, inputs: pd.DataFrame) -> pd.DataFrame:
        return pd.DataFrame({"probability": inputs["sum_slot_1d"]})


def holdout_of_sums(folder: Path, values: Mapping[str, float]) -> Holdout:
    body = "from data_contracts.features import DAY, Count, Sum\nCOUNTS = (Count((), 'clicks', DAY),)\n"
    body += "SUMS = (Sum('slot', DAY),)\ndef slot(position): return position\n"
    given = {}
    for name, value in values.items():
        (folder / f"{name}.py").write_text(f"{body}# {name}\n")
        (held,) = (each for each in held_names(load_feature_set(folder / f"{name}.py")) if each.startswith("sum_"))
        given[held] = [value]
    one = np.zeros(1, np.int64)
    return Holdout(one.astype(object), pd.DataFrame(given), one.astype(np.int8), one, {})

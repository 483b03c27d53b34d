"""Reads what models are judged on from the lake, at stated versions of its tables."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from data_contracts.features import FeatureSet
from data_contracts.render import quoted
from data_contracts.settings import Settings
from data_contracts.tables import AD_IMPRESSIONS, HOLDOUTS
from ml.metrics import Codes, Labels
from ml.slice_metrics import check_slice_columns
from ml.splits import Slice
from ml.training_sets import Texts, TrainingSetError, pinned, rows_of

NEW_AD, NEW_USER = 100, 1
"""An ad with fewer impressions in 28 days is new, and so is a user with fewer."""


@dataclass(frozen=True)
class Holdout:
    """What models are judged on: impression_ids, inputs by name (request fields, numbers, counts, sums), labels, users
    as codes from 0, and for each slice the value of each row."""

    ids: Texts
    inputs: pd.DataFrame
    labels: Labels
    users: Codes
    slices: Mapping[str, Texts]


def held_names(feature_set: FeatureSet) -> tuple[str, ...]:
    """Its inputs, in order, by the names that holdouts have them by: two feature sets may have sums of one name."""
    return tuple(feature_set.looked_up.get(name, name) for name in feature_set.input_names)


def read_holdout(
    settings: Settings, versions: Mapping[str, int], name: str, input_names: Sequence[str], window: Slice
) -> Holdout:
    """The rows of a holdout shown in `window`, with the slice columns that conf [gate] names from ad_impressions, both
    tables at their version in `versions`, and how new ad and user are.

    Raises TrainingSetError when there are none, or on a slice column that ad_impressions does not have.
    """
    columns = settings.gate.slice_columns
    check_slice_columns(columns)
    history = (f"{name}_impressions_28d" for name in ("ad", "user"))
    asked = dict.fromkeys((*input_names, *history))
    inputs = "".join(f", inputs[{quoted(each)}] AS {_identifier('input', each)}" for each in asked)
    slices = "".join(
        f", coalesce(shown.{_identifier(each)}::VARCHAR, 'unknown') AS {_identifier('slice', each)}" for each in columns
    )
    rows = rows_of(
        settings,
        f"SELECT impression_id, given.user_id, given.clicked{inputs}{slices} "
        f"FROM {pinned(settings, versions, HOLDOUTS.name)} given "
        f"LEFT JOIN {pinned(settings, versions, AD_IMPRESSIONS.name)} shown USING (impression_id) "
        f"WHERE holdout_id = ? AND epoch_us(given.timestamp) >= ? AND epoch_us(given.timestamp) < ? "
        f"ORDER BY given.timestamp, impression_id",
        [name, round(window.start * 1e6), round(window.end * 1e6)],
    )
    if not len(rows):
        raise TrainingSetError(
            f"holdouts holds no row of {name} shown in {window}; make it with python -m spark_jobs.build_holdout"
        )
    by_column = {each: _column(rows, f"slice {each}") for each in columns}
    return Holdout(
        _column(rows, "impression_id"),
        pd.DataFrame({each: _column(rows, f"input {each}") for each in input_names}),
        _column(rows, "clicked").astype(np.int8),
        _codes(_column(rows, "user_id")),
        by_column | {"ad": _history(rows, "ad", NEW_AD), "user": _history(rows, "user", NEW_USER)},
    )


def lacking(settings: Settings, versions: Mapping[str, int], name: str, input_names: Sequence[str]) -> list[str]:
    """The counts, sums and request fields among `input_names` that the rows of a holdout do not have."""
    rows = rows_of(
        settings,
        f"SELECT DISTINCT unnest(map_keys(inputs)) AS name FROM {pinned(settings, versions, HOLDOUTS.name)} "
        "WHERE holdout_id = ?",
        [name],
    )
    known = set(rows.column("name").to_pylist())
    return [each for each in input_names if each not in known] if known else []


def _history(rows: pa.Table, entity: str, least: int) -> Texts:
    return np.where(_column(rows, f"input {entity}_impressions_28d") < least, "new", "known").astype(object)


def _identifier(*words: str) -> str:
    return '"' + " ".join(words).replace('"', '""') + '"'


def _column(rows: pa.Table, name: str) -> NDArray[Any]:
    values: NDArray[Any] = rows.column(name).to_numpy()
    return values


def _codes(values: Texts) -> Codes:
    """By first appearance, not by value: pseudonyms sort otherwise in each installation, and bootstraps draw codes."""
    codes: Codes = pd.factorize(values)[0]
    return codes

"""Metrics of the holdout by what was shown where: by each value of the columns that conf [gate] slice_columns names."""

from collections.abc import Mapping, Sequence

import numpy as np

from data_contracts.settings import Settings
from data_contracts.tables import AD_IMPRESSIONS, TRAINING_SETS
from ml.metrics import Floats, Labels, metrics
from ml.splits import Slice
from ml.training_sets import Texts, TrainingSetError, pinned, rows_of


def check_slice_columns(columns: Sequence[str]) -> None:
    """Raises TrainingSetError on one that ad_impressions does not have."""
    if unknown := set(columns) - set(AD_IMPRESSIONS.column_names):
        raise TrainingSetError(f"conf [gate] slice_columns: ad_impressions has no column {', '.join(sorted(unknown))}")


def slice_values(
    settings: Settings, versions: Mapping[str, int], training_set_id: str, window: Slice
) -> dict[str, Texts]:
    """The slice columns of the impressions shown in `window`, in the order of their training set; `unknown` where an
    impression is null there or gone. Both tables are read at their version in `versions`."""
    columns = settings.gate.slice_columns
    check_slice_columns(columns)
    if not columns:
        return {}
    values = ", ".join(f"coalesce(shown.{name}::VARCHAR, 'unknown') AS {name}" for name in columns)
    rows = rows_of(
        settings,
        f"SELECT {values} "
        f"FROM {pinned(settings, versions, TRAINING_SETS.name)} given "
        f"LEFT JOIN {pinned(settings, versions, AD_IMPRESSIONS.name)} shown USING (impression_id) "
        f"WHERE training_set_id = ? AND epoch_us(given.timestamp) >= ? AND epoch_us(given.timestamp) < ? "
        f"ORDER BY given.timestamp, impression_id",
        [training_set_id, round(window.start * 1e6), round(window.end * 1e6)],
    )
    return {name: rows.column(name).to_numpy() for name in columns}


def metrics_by_slice(
    labels: Labels, probabilities: Floats, slices: Mapping[str, Texts]
) -> list[dict[str, str | float]]:
    """A row for each value of each column, the most clicks first within a column."""
    found: list[dict[str, str | float]] = []
    for column, values in slices.items():
        names, codes = np.unique(values.astype(str), return_inverse=True)
        order = np.argsort(codes, kind="stable")
        parts = np.split(order, np.cumsum(np.bincount(codes))[:-1])
        of_column: list[dict[str, str | float]] = [
            {"column": column, "value": str(name), **metrics(labels[part], probabilities[part])}
            for name, part in zip(names, parts, strict=True)
        ]
        found += sorted(of_column, key=lambda row: -float(row["clicks"]))
    return found

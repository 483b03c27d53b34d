"""Reads a training set from the lake, at stated versions of its tables."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from data_contracts.lake import open_lake
from data_contracts.render import quoted
from data_contracts.settings import Settings
from data_contracts.tables import AD_IMPRESSIONS, CLICKS, COUNT_TILES, LABELS, TRAINING_SETS
from ml.metrics import Codes, Labels
from ml.splits import Slice
from ml.staging import TrainingSet, WidthError, staged, staging_folder

Texts = NDArray[np.object_]
RESTS_ON = tuple(table.name for table in (AD_IMPRESSIONS, CLICKS, LABELS, COUNT_TILES, TRAINING_SETS))
"""The tables that decide what is in a training set."""
SORT_MEMORY = "500MB"
BATCH_ROWS = 50_000


class TrainingSetError(ValueError):
    """A training set that is not there or not what was asked for; the message says how to make it."""


@dataclass(frozen=True)
class Holdout:
    """What a model is judged on: its inputs by name (request fields and counts), labels, users as codes from 0, and
    for each slice column the value of each row."""

    inputs: pd.DataFrame
    labels: Labels
    users: Codes
    slices: Mapping[str, Texts]


def read_training_set(
    settings: Settings, versions: Mapping[str, int], training_set_id: str, feature_names: Sequence[str]
) -> TrainingSet:
    """All rows of a training set, at the table's version in `versions`, staged under conf's home: little of it is held
    in memory, whatever its size. DuckDB sorts the rows and spills what it cannot hold.

    Raises TrainingSetError when it is absent or was built from other features.
    """
    query = (
        f"SELECT impression_id, features::FLOAT[] AS features, clicked, epoch_us(timestamp) AS epoch_us "
        f"FROM {pinned(settings, versions, TRAINING_SETS.name)} WHERE training_set_id = ? "
        f"ORDER BY timestamp, impression_id"
    )
    with staging_folder(settings.home) as folder, _answering(settings) as lake:
        lake.execute(f"SET temp_directory = {quoted(str(folder))}")
        lake.execute(f"SET memory_limit = '{SORT_MEMORY}'")
        lake.execute("SET preserve_insertion_order = false")
        batches = lake.execute(query, [training_set_id]).to_arrow_reader(BATCH_ROWS)
        try:
            found = staged(batches, len(feature_names), folder)
        except WidthError as error:
            raise TrainingSetError(
                f"training set {training_set_id} has rows of {sorted(error.widths)} features, "
                f"its feature set defines {len(feature_names)}: build it again"
            ) from None
    if not len(found.labels):
        raise TrainingSetError(
            f"training_sets holds no row of {training_set_id}; build it with python -m spark_jobs.build_training_set"
        )
    return found


def read_holdout(
    settings: Settings,
    versions: Mapping[str, int],
    training_set_id: str,
    input_names: Sequence[str],
    window: Slice,
) -> Holdout:
    """The rows of a training set shown in `window`, with the slice columns that conf [gate] names from ad_impressions,
    both tables at their version in `versions`.

    Raises TrainingSetError when there are none, or on a slice column that ad_impressions does not have.
    """
    columns = settings.gate.slice_columns
    if unknown := set(columns) - set(AD_IMPRESSIONS.column_names):
        raise TrainingSetError(f"conf [gate] slice_columns: ad_impressions has no column {', '.join(sorted(unknown))}")
    inputs = "".join(f", inputs[{quoted(name)}] AS {_identifier('input', name)}" for name in input_names)
    slices = "".join(
        f", coalesce(shown.{_identifier(name)}::VARCHAR, 'unknown') AS {_identifier('slice', name)}" for name in columns
    )
    rows = rows_of(
        settings,
        f"SELECT given.user_id, given.clicked{inputs}{slices} "
        f"FROM {pinned(settings, versions, TRAINING_SETS.name)} given "
        f"LEFT JOIN {pinned(settings, versions, AD_IMPRESSIONS.name)} shown USING (impression_id) "
        f"WHERE training_set_id = ? AND epoch_us(given.timestamp) >= ? AND epoch_us(given.timestamp) < ? "
        f"ORDER BY given.timestamp, impression_id",
        [training_set_id, round(window.start * 1e6), round(window.end * 1e6)],
    )
    if not len(rows):
        raise TrainingSetError(f"training_sets holds no row of {training_set_id} shown in {window}")
    return Holdout(
        pd.DataFrame({name: _column(rows, f"input {name}") for name in input_names}),
        _column(rows, "clicked").astype(np.int8),
        _codes(_column(rows, "user_id")),
        {name: _column(rows, f"slice {name}") for name in columns},
    )


def table_versions(settings: Settings, names: Sequence[str]) -> dict[str, int]:
    """The newest Delta version of each table. Raises TrainingSetError on a table that was never written."""
    versions = {}
    for name in names:
        log = settings.lake / name / "_delta_log"
        commits = [int(path.stem) for path in log.glob("*.json") if path.stem.isdigit()]
        if not commits:
            raise TrainingSetError(f"the lake has no table {name} yet ({settings.lake / name})")
        versions[name] = max(commits)
    return versions


def _identifier(*words: str) -> str:
    return '"' + " ".join(words).replace('"', '""') + '"'


def pinned(settings: Settings, versions: Mapping[str, int], table: str) -> str:
    """The table at the version that is written down as evidence, whatever is committed meanwhile."""
    return f"delta_scan({quoted(str(settings.lake / table))}, version = {versions[table]})"


def rows_of(settings: Settings, query: str, parameters: Sequence[object]) -> pa.Table:
    """What DuckDB answers. Raises TrainingSetError when the lake cannot be read."""
    with _answering(settings) as lake:
        return lake.execute(query, parameters).to_arrow_table()


@contextlib.contextmanager
def _answering(settings: Settings) -> Iterator[duckdb.DuckDBPyConnection]:
    try:
        with contextlib.closing(open_lake(settings)) as lake:
            yield lake
    except duckdb.Error as error:
        raise TrainingSetError(f"the lake cannot be read: {str(error).splitlines()[0]}") from error


def _column(rows: pa.Table, name: str) -> NDArray[Any]:
    values: NDArray[Any] = rows.column(name).to_numpy()
    return values


def _codes(values: Texts) -> Codes:
    """By first appearance, not by value: pseudonyms sort otherwise in each installation, and bootstraps draw codes."""
    codes: Codes = pd.factorize(values)[0]
    return codes

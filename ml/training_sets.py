"""Reads a training set from the lake, at stated versions of its tables."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from data_contracts.lake import open_lake
from data_contracts.render import quoted
from data_contracts.settings import Settings
from data_contracts.tables import AD_IMPRESSIONS, CLICKS, COUNT_TILES, LABELS, TRAINING_SETS
from ml.staging import TrainingSet, WidthError, staged, staging_folder

Texts = NDArray[np.object_]
RESTS_ON = tuple(table.name for table in (AD_IMPRESSIONS, CLICKS, LABELS, COUNT_TILES, TRAINING_SETS))
"""The tables that decide what is in a training set; where its features need sums, FEATURE_SUMS is one more."""
SORT_MEMORY = "500MB"
BATCH_ROWS = 50_000


class TrainingSetError(ValueError):
    """A training set that is not there or not what was asked for; the message says how to make it."""


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

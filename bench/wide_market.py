"""A lake with a training set of many rows and 40 features, and the tables it rests on, made quickly and the same each
time."""

import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from deltalake import write_deltalake

from data_contracts.feature_set_files import load_feature_set
from data_contracts.features import training_set_id
from data_contracts.schema import Table
from data_contracts.settings import Settings
from data_contracts.tables import AD_IMPRESSIONS, CLICKS, COUNT_TILES, LABELS, TRAINING_SETS

START = datetime(2026, 1, 1, tzinfo=UTC)
DAYS = 7
AS_OF = START + timedelta(days=DAYS, hours=25)
FEATURES = 40
BATCH = 250_000
MOMENT = pa.timestamp("us", "UTC")
ARROW = {
    "STRING": pa.string(),
    "TIMESTAMP": MOMENT,
    "DATE": pa.date32(),
    "INT": pa.int32(),
    "BIGINT": pa.int64(),
    "BOOLEAN": pa.bool_(),
    "DOUBLE": pa.float64(),
    "MAP<STRING,STRING>": pa.map_(pa.string(), pa.string()),
}
ABSENT = {"STRING": "none", "TIMESTAMP": START, "DATE": START.date(), "BIGINT": 0, "MAP<STRING,STRING>": []}


def write_feature_set(path: Path) -> None:
    """A feature set of FEATURES features. Training takes their number, names and hash from it, and no more."""
    functions = "".join(f"\n\ndef wide_{number}(position):\n    return position\n" for number in range(FEATURES))
    counts = 'COUNTS = (Count(keys=("ad_id",), event="clicks", window=DAY),)\n'
    path.write_text(f"from data_contracts.features import DAY, Count\n\n{counts}{functions}")


def write_market(settings: Settings, rows: int) -> None:
    """Impressions in no order over DAYS days, clicked at some 5 % by a rule that trees can learn."""
    random = np.random.default_rng(7)
    for table in (LABELS, COUNT_TILES):
        write_deltalake(settings.lake / table.name, _arrow(table, 0, {}))
    for start in range(0, rows, BATCH):
        _write_part(settings, random, min(BATCH, rows - start))


def _write_part(settings: Settings, random: np.random.Generator, rows: int) -> None:
    features = random.normal(size=(rows, FEATURES)).astype(np.float32)
    log_odds = -3.2 + 0.6 * features[:, 0] + 0.4 * np.abs(features[:, 1]) + 0.3 * features[:, 2] * features[:, 3]
    clicked = random.random(rows) < 1 / (1 + np.exp(-log_odds))
    shown = (START.timestamp() + random.random(rows) * DAYS * 86_400) * 1e6
    given = {
        "impression_id": np.array([str(uuid.UUID(bytes=random.bytes(16))) for _ in range(rows)], dtype=object),
        "user_id": np.array([f"user-{number}" for number in random.integers(0, 50_000, rows)], dtype=object),
        "timestamp": pa.array(shown.astype(np.int64), MOMENT),
        "received_at": pa.array(shown.astype(np.int64), MOMENT),
        "position": random.integers(1, 5, rows).astype(np.int32),
        "campaign_id": np.array([f"campaign-{number}" for number in random.integers(0, 160, rows)], dtype=object),
    }
    write_deltalake(settings.lake / AD_IMPRESSIONS.name, _arrow(AD_IMPRESSIONS, rows, given), mode="append")
    _write_training_rows(settings, given, features, clicked)
    chosen = np.flatnonzero(clicked)
    seen = pa.array(shown.astype(np.int64)[chosen] + 30_000_000, MOMENT)
    clicks = {
        "click_id": given["impression_id"][chosen], "impression_id": given["impression_id"][chosen],
        "clicked": np.ones(len(chosen), dtype=bool), "timestamp": seen, "received_at": seen,
    }  # fmt: skip
    write_deltalake(settings.lake / CLICKS.name, _arrow(CLICKS, len(chosen), clicks), mode="append")


def _write_training_rows(settings: Settings, given: dict[str, Any], features: Any, clicked: Any) -> None:
    definitions, rows = load_feature_set(Path(settings.features.feature_set)), len(clicked)
    known = {column.name: column.type for column in TRAINING_SETS.columns}
    features = features.ravel().astype(np.float32 if known["features"] == "ARRAY<FLOAT>" else np.float64)
    columns = {
        "training_set_id": pa.repeat(training_set_id(definitions.hash, AS_OF), rows),
        "feature_set_hash": pa.repeat(definitions.hash, rows),
        "as_of": pa.repeat(pa.scalar(AS_OF, MOMENT), rows),
        "impression_id": given["impression_id"],
        "user_id": given["user_id"],
        "timestamp": given["timestamp"],
        "snapshot_at": given["timestamp"],
        "clicked": clicked.astype(np.int32),
        "inputs": pa.array([[]] * rows, pa.map_(pa.string(), pa.float64())),
        "features": pa.ListArray.from_arrays(np.arange(0, features.size + 1, FEATURES, dtype=np.int32), features),
    }
    table = pa.table({name: columns[name] for name in known})
    write_deltalake(settings.lake / TRAINING_SETS.name, table, mode="append", partition_by=["training_set_id"])


def _arrow(table: Table, rows: int, given: dict[str, Any]) -> pa.Table:
    """Rows of `table` with what is `given`, and something that says nothing in the other columns."""
    return pa.table(
        {
            column.name: given[column.name]
            if column.name in given
            else pa.array([ABSENT.get(column.type)] * rows, ARROW[column.type])
            for column in table.columns
        }
    )

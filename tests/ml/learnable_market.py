"""A small made-up market whose clicks can be learnt: what an ad got so far tells how often it will be clicked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from deltalake import write_deltalake

from data_contracts.feature_set_files import feature_set_path, load_feature_set
from data_contracts.features import FeatureSet, training_set_id
from data_contracts.settings import Settings
from data_contracts.tables import AD_IMPRESSIONS, CLICKS, COUNT_TILES, LABELS
from ml.model_run import FittedModel
from ml.splits import Slice, time_slices
from ml.staging import TrainingSet

TEST_CONF = Path(__file__).with_name("learnable.toml")
START = datetime(2026, 1, 1, tzinfo=UTC)
FIRST_AS_OF = datetime(2026, 1, 6, 1, tzinfo=UTC)
"""Train 1 Jan, stop 2 Jan, calibration 3 Jan, holdout 4 Jan."""
SECOND_AS_OF = datetime(2026, 1, 7, 1, tzinfo=UTC)
"""A day later, each but the start of training."""
DAYS, IMPRESSIONS_PER_DAY = 5, 1500
TRUE_CTRS = np.array([0.02, 0.05, 0.07, 0.09, 0.11, 0.13, 0.15, 0.2])
"""By ad."""

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
ABSENT = {
    "STRING": "none",
    "TIMESTAMP": START,
    "DATE": START.date(),
    "INT": None,
    "DOUBLE": None,
    "BOOLEAN": None,
    "BIGINT": 0,
    "MAP<STRING,STRING>": [],
}


@cache
def feature_set() -> FeatureSet:
    return load_feature_set(feature_set_path("tests/small_features.py"))


def counts(ctr: float, position: int) -> dict[str, float]:
    """Counts of an ad that was shown 700 times in a week and clicked at `ctr`."""
    found = {name: 0.0 for name in feature_set().input_names if name not in ("position", "timestamp")}
    for name, share in (("ad", 1.0), ("ad_position", 1 / position)):
        for span, shown in (("1d", 100 * share), ("7d", 700 * share)):
            found |= {f"{name}_impressions_{span}": float(round(shown)), f"{name}_clicks_{span}": round(shown * ctr)}
    return {name: float(value) for name, value in found.items()}


@cache
def impressions() -> tuple[Mapping[str, Any], ...]:
    """Impressions in order of time, with `clicked` and the model's `inputs`."""
    random = np.random.default_rng(7)
    rows = []
    for number in range(DAYS * IMPRESSIONS_PER_DAY):
        shown = START + timedelta(days=1) * (number / IMPRESSIONS_PER_DAY)
        ad, position = int(random.integers(len(TRUE_CTRS))), int(random.integers(1, 4))
        rows.append(
            {
                "impression_id": f"impression-{number:06d}",
                "user_id": f"user-{random.integers(400)}",
                "ad_id": f"ad-{ad}",
                "campaign_id": f"campaign-{ad % 2}",
                "position": position,
                "timestamp": shown,
                "clicked": int(random.random() < TRUE_CTRS[ad]),
                "inputs": {"position": float(position), "timestamp": shown.timestamp()}
                | counts(float(TRUE_CTRS[ad]), position),
            }
        )
    return tuple(rows)


def write_market(settings: Settings) -> None:
    """ad_impressions, a training set of each as_of, and the tables between without rows, as Delta tables; no two stand
    at the same version."""
    write_impressions(settings, impressions())
    for table, version in ((CLICKS, 2), (LABELS, 3), (COUNT_TILES, 4)):
        rowless = pa.schema([(column.name, ARROW[column.type]) for column in table.columns]).empty_table()
        for _ in range(version + 1):
            write_deltalake(settings.lake / table.name, rowless, mode="append")
    for as_of in (FIRST_AS_OF, SECOND_AS_OF):
        mature = [row for row in impressions() if row["timestamp"] + timedelta(hours=25) <= as_of]
        write_training_set(settings, mature, as_of)
        write_holdout(settings, mature, as_of)


def write_impressions(settings: Settings, rows: Sequence[Mapping[str, Any]]) -> None:
    columns = {
        column.name: pa.array([row.get(column.name, ABSENT[column.type]) for row in rows], ARROW[column.type])
        for column in AD_IMPRESSIONS.columns
    }
    write_deltalake(settings.lake / "ad_impressions", pa.table(columns))


def write_training_set(
    settings: Settings, rows: Sequence[Mapping[str, Any]], as_of: datetime, kind: str = "float"
) -> None:
    definitions = feature_set()
    inputs: list[Mapping[str, float]] = [row["inputs"] for row in rows]
    size = len(rows)
    table = pa.table(
        {
            "training_set_id": [training_set_id(definitions.hash, as_of)] * size,
            "feature_set_hash": [definitions.hash] * size,
            "as_of": pa.array([as_of] * size, MOMENT),
            "impression_id": [row["impression_id"] for row in rows],
            "user_id": [row["user_id"] for row in rows],
            "timestamp": pa.array([row["timestamp"] for row in rows], MOMENT),
            "snapshot_at": pa.array([row["timestamp"] for row in rows], MOMENT),
            "clicked": pa.array([row["clicked"] for row in rows], pa.int32()),
            "features": pa.array([definitions.row(row) for row in inputs], pa.list_(pa.type_for_alias(kind))),
        }
    )
    write_deltalake(settings.lake / "training_sets", table, mode="append", partition_by=["training_set_id"])


HISTORY = {"ad_impressions_28d": 700.0, "user_impressions_28d": 5.0}
"""What the gate is told of every ad and user."""


def write_holdout(settings: Settings, rows: Sequence[Mapping[str, Any]], as_of: datetime) -> None:
    """What build_holdout would make of `rows`, of all days: a reader looks at its window."""
    size = len(rows)
    inputs = [list((row["inputs"] | HISTORY).items()) for row in rows]
    table = pa.table(
        {
            "holdout_id": [training_set_id(feature_set().hash, as_of)] * size,
            "as_of": pa.array([as_of] * size, MOMENT),
            "impression_id": [row["impression_id"] for row in rows],
            "user_id": [row["user_id"] for row in rows],
            "timestamp": pa.array([row["timestamp"] for row in rows], MOMENT),
            "snapshot_at": pa.array([row["timestamp"] for row in rows], MOMENT),
            "clicked": pa.array([row["clicked"] for row in rows], pa.int32()),
            "inputs": pa.array(inputs, pa.map_(pa.string(), pa.float64())),
        }
    )
    write_deltalake(settings.lake / "holdouts", table, mode="append", partition_by=["holdout_id"])


def training_slices(settings: Settings, as_of: datetime) -> dict[str, Slice]:
    return time_slices(as_of.timestamp(), START.timestamp(), settings.training)


@dataclass(frozen=True)
class Laboratory:
    """A lake, a store, the training set and the model fitted as of FIRST_AS_OF, the checksum of each as_of's training
    set, and the URIs of logged models by name."""

    settings: Settings
    store: Path
    training_set: TrainingSet
    model: FittedModel
    checksums: Mapping[datetime, str]
    models: Mapping[str, str]

"""The tables, after training -> holdouts: what the challenger and the champion are judged on.

Nothing is taken from training_sets: an input that only training had is not here.
"""

import argparse
from collections.abc import Sequence
from datetime import datetime

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from data_contracts import registry
from data_contracts.features import FeatureSet, holdout_id
from data_contracts.keys import key_name
from data_contracts.known_features import known
from data_contracts.model_versions import RegisteredVersion
from data_contracts.registry import RegistryError
from data_contracts.sections import parsed_instant
from data_contracts.tables import HOLDOUTS
from spark_jobs.labelled_rows import labelled_rows
from spark_jobs.live_features import GATE_COUNTS
from spark_jobs.session import JobError, Lake, run_job


def with_inputs(rows: DataFrame, names: Sequence[str]) -> DataFrame:
    """Labelled rows with `inputs`: request fields and the columns `names`; a number that is not there has no entry."""
    fields = {"position": F.col("position").cast("double"), "timestamp": F.unix_micros("timestamp") / F.lit(1e6)}
    named = {name: F.col(name).cast("double") for name in names}
    entries = F.array(*[F.struct(F.lit(name), value) for name, value in {**fields, **named}.items()])
    return rows.withColumn("inputs", F.map_filter(F.map_from_entries(entries), lambda _, value: value.isNotNull()))


def main(lake: Lake, as_of: datetime, arguments: argparse.Namespace) -> str:
    """Make the holdout of the challenger that was trained as of `as_of`, or of a version in its place."""
    settings, number = lake.settings, arguments.version
    try:
        challenger = registry.version(settings, number) if number else registry.challenger(settings)
        champion = registry.champion(settings)
    except RegistryError as error:
        raise JobError(str(error)) from None
    if challenger is None or challenger.tags.get("as_of") != as_of.isoformat():
        raise JobError(f"no challenger was trained as of {as_of.isoformat()}; run python -m ml.train first")
    sets = _feature_sets(lake, challenger, champion)
    numbers = (key_name(key) for each in sets for key in each.numbers)
    looked_up = (*(count.name for count in GATE_COUNTS), *(name for each in sets for name in each.looked_up.values()))
    start, end = (parsed_instant(challenger.tags[f"holdout_{edge}"]) for edge in ("start", "end"))
    shown = (F.col("timestamp") >= F.lit(start)) & (F.col("timestamp") < F.lit(end))
    labelled = labelled_rows(lake, as_of, sets, GATE_COUNTS, shown)
    rows = with_inputs(labelled, list(dict.fromkeys((*numbers, *looked_up))))
    hashed = champion.tags.get("feature_set_hash") if champion else None
    name = holdout_id(challenger.tags["training_set_id"], hashed)
    marked = rows.withColumns(
        {
            "holdout_id": F.lit(name),
            "as_of": F.lit(as_of),
            "snapshot_at": F.timestamp_seconds("snapshot_at"),
        }
    )
    lake.overwrite(HOLDOUTS, marked, where=f"holdout_id = '{name}'")
    return f"holdout {name}: {lake.read(HOLDOUTS).where(F.col('holdout_id') == name).count()} rows"


def _feature_sets(lake: Lake, *versions: RegisteredVersion | None) -> list[FeatureSet]:
    """Those of the versions, each once; of one that is not known here nothing can be made, and evaluate says so."""
    found: dict[str, FeatureSet] = {}
    for version in versions:
        hashed = version.tags.get("feature_set_hash", "") if version else ""
        feature_set = known(lake.settings, hashed) if hashed else None
        if feature_set:
            found[hashed] = feature_set
        elif version:
            print(f"the feature set of version {version.version} is not known here", flush=True)
    return [*found.values()]


if __name__ == "__main__":
    parser = argparse.ArgumentParser("build_holdout", description=__doc__)
    parser.add_argument("--version", help="of this version in place of the challenger")
    run_job(main, parser)

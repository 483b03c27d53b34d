"""ad_impressions and clicks -> count_tiles: hourly sums an entity, by when the events became known; and from these
feature_sums, what features came to over all impressions of an hour.

Each run appends what the changes of the tables since its last run add to the hours of their knowledge, or take away: no
tile is ever rewritten, and the sum over an entity and hour is what counting everything anew would give.
"""

import argparse
from collections.abc import Sequence
from datetime import datetime

from pyspark.errors import PySparkException
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from data_contracts.feature_set_files import FeatureSetError
from data_contracts.features import FeatureSet
from data_contracts.keys import key_columns
from data_contracts.render import quoted
from data_contracts.tables import COUNT_TILES, FEATURE_SUMS
from spark_jobs.changes import (
    SOURCES,
    VERSION_COLUMNS,
    Touched,
    Versions,
    is_followable,
    marked,
    source_versions,
    touched,
)
from spark_jobs.feature_sums import bring_up
from spark_jobs.keyed import keyed
from spark_jobs.live_features import counts_of, feature_sets_in_use
from spark_jobs.session import Lake, as_of_seconds, run_job
from spark_jobs.tiles import hourly_tiles

KeyTuples = Sequence[tuple[str, ...]]


def tiles_at(lake: Lake, key_tuples: KeyTuples, versions: Versions, only: Touched | None = None) -> DataFrame:
    """The tiles of all impressions, or `only` of some, as the sources stood at `versions`."""
    impressions, clicks, ads, users = (lake.read(table, versions[table.name]) for table in SOURCES)
    if only is not None:
        impressions, clicks = only.of(impressions), only.of(clicks)
    keys = {key for keys in key_tuples for key in keys}
    return hourly_tiles(
        keyed(impressions, ads, users, keys, lake.settings.serving.default_position), clicks, key_tuples
    )


def added_tiles(lake: Lake, key_tuples: KeyTuples, after: Versions, until: Versions) -> DataFrame | None:
    """What must be added to the tiles made `after` to make them those of `until`; None when nothing."""
    concerned = touched(lake, after, until)
    if concerned is None:
        return None
    before, now = (tiles_at(lake, key_tuples, versions, concerned) for versions in (after, until))
    taken = before.withColumns({event: -F.col(event) for event in ("impressions", "clicks")})
    summed = now.unionByName(taken).groupBy("keys", "entity", "hour")
    return summed.agg(F.sum("impressions").alias("impressions"), F.sum("clicks").alias("clicks"))


def counted_until(lake: Lake) -> dict[str, dict[str, int]]:
    """Up to which versions of the sources each key tuple has been counted."""
    newest = [F.max(column).alias(name) for name, column in VERSION_COLUMNS.items()]
    rows = lake.read(COUNT_TILES).groupBy("keys").agg(*newest).collect()
    return {row["keys"]: {name: row[name] for name in VERSION_COLUMNS} for row in rows}


def main(lake: Lake, as_of: datetime, arguments: argparse.Namespace) -> str:
    """Bring the tiles of all key tuples that live models need up to the tables; one that is new is counted from the
    beginning, and so is one whose last run the tables' history no longer reaches back to."""
    as_of_seconds(as_of)
    said = []
    in_use = feature_sets_in_use(lake.settings)
    with lake.writing(COUNT_TILES, FEATURE_SUMS):
        until = source_versions(lake)
        known = {} if arguments.anew else counted_until(lake)
        for after, key_tuples in _by_progress(lake, in_use, known).items():
            said.append(_count(lake, key_tuples, dict(after), until))
        for feature_set in in_use:
            if feature_set.sums:
                said += _summed(lake, feature_set, until, arguments.anew)
    return "count_tiles: " + "; ".join(said)


def _summed(lake: Lake, feature_set: FeatureSet, until: Versions, anew: bool) -> list[str]:
    """What was done for the sums of one feature set; one that cannot be made must not keep the others from theirs."""
    who = f"{feature_set.name} ({feature_set.hash[:16]})"
    try:
        return [f"sums of {who} made"] if bring_up(lake, feature_set, until, anew) else []
    except (PySparkException, FeatureSetError) as error:
        return [f"sums of {who} NOT made: {str(error).strip().splitlines()[-1]}"]


Progress = tuple[tuple[str, int], ...]


def _by_progress(
    lake: Lake, in_use: Sequence[FeatureSet], known: dict[str, dict[str, int]]
) -> dict[Progress, list[tuple[str, ...]]]:
    """Key tuples that were counted up to the same versions, together; those to be counted anew by ()."""
    found: dict[Progress, list[tuple[str, ...]]] = {}
    for keys in dict.fromkeys(count.keys for count in counts_of(in_use)):
        after = known.get(key_columns(keys), {})
        progress = tuple(after.items()) if after and is_followable(lake, after) else ()
        found.setdefault(progress, []).append(keys)
    return found


def _count(lake: Lake, key_tuples: KeyTuples, after: Versions, until: Versions) -> str:
    names = [key_columns(keys) for keys in key_tuples]
    if after == until:
        return f"{len(names)} key tuples are up to date"
    tiles = added_tiles(lake, key_tuples, after, until) if after else tiles_at(lake, key_tuples, until)
    if tiles is None:
        return f"nothing new for {len(names)} key tuples"
    if after:
        lake.append(COUNT_TILES, marked(tiles, until))
        return f"{len(names)} key tuples brought up to date"
    lake.overwrite(COUNT_TILES, marked(tiles, until), where=f"keys IN ({', '.join(map(quoted, names))})")
    return f"{len(names)} key tuples counted from the beginning"


if __name__ == "__main__":
    parser = argparse.ArgumentParser("count_events", description=__doc__)
    parser.add_argument("--anew", action="store_true", help="count everything from the beginning")
    run_job(main, parser)

"""ad_impressions and clicks -> count_tiles: hourly sums an entity, by when the events became known."""

import argparse
from datetime import datetime

from pyspark.sql import functions as F

from data_contracts.features import feature_set_path, load_feature_set
from data_contracts.landing import instant_text
from data_contracts.tables import AD_IMPRESSIONS, CLICKS, COUNT_TILES
from spark_jobs.counts import hourly_tiles, with_default_position
from spark_jobs.session import Lake, as_of_seconds, run_job


def main(lake: Lake, as_of: datetime, arguments: argparse.Namespace) -> str:
    """Make all tiles of the hours before `as_of` anew; later hours stay as they are."""
    as_of_seconds(as_of)
    feature_set = load_feature_set(feature_set_path(lake.settings.features.feature_set))
    known = F.col("received_at") < F.lit(as_of)
    impressions, clicks = (lake.read(table).where(known) for table in (AD_IMPRESSIONS, CLICKS))
    placed = with_default_position(impressions, lake.settings.serving.default_position)
    tiles = hourly_tiles(placed, clicks, feature_set.key_tuples)
    lake.overwrite(COUNT_TILES, tiles, where=f"hour < '{instant_text(as_of)}'")
    return f"count_tiles: {lake.read(COUNT_TILES).count()} tiles of {len(feature_set.key_tuples)} key tuples"


if __name__ == "__main__":
    run_job(main, argparse.ArgumentParser("count_events", description=__doc__))

"""A lake of two impressions, as real Delta tables."""

import contextlib
from datetime import UTC, datetime

import pyarrow as pa
from deltalake import write_deltalake

from data_contracts.lake import open_lake
from data_contracts.settings import Settings

NOON, LATER = datetime(2019, 11, 30, 12, tzinfo=UTC), datetime(2019, 11, 30, 13, tzinfo=UTC)


def write_lake(settings: Settings) -> None:
    """Two impressions of one ad, the first clicked, of which both were told twice."""
    impressions = [
        {"impression_id": "i-1", "ad_id": "men-1", "variant": "random", "position": 1, "timestamp": NOON},
        {"impression_id": "i-2", "ad_id": "men-1", "variant": "random", "position": 2, "timestamp": LATER},
    ]
    clicks = [
        {"click_id": f"c-{number}", "impression_id": impression, "clicked": impression == "i-1"}
        for number, impression in enumerate(["i-1", "i-1", "i-2", "i-2"])
    ]
    for table, rows in (("ad_impressions", impressions), ("clicks", clicks)):
        with contextlib.closing(open_lake(settings)) as lake:
            schema = lake.sql(f"FROM {table}").to_arrow_table().schema
        write_deltalake(str(settings.lake / table), pa.Table.from_pylist(rows, schema))

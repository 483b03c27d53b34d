"""Spark finds the same value of a key as data_contracts.keys does, from what was known at the snapshot of the time."""

import math
from datetime import datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data_contracts import keys
from data_contracts.snapshot import snapshot_time
from spark_jobs.keyed import keyed, number
from tests.spark_jobs.conftest import NOON

pytestmark = pytest.mark.spark
KEYS = (
    "user_id", "ad_id", "campaign_id", "advertiser_id", "device_type", "position", "consent", "features.site",
    "ad.topic", "ad.campaign_id", "ad.features.brand", "user.features.band", "user.consent",
)  # fmt: skip
IMPRESSIONS = (
    "impression_id STRING, user_id STRING, ad_id STRING, campaign_id STRING, advertiser_id STRING, device_type STRING, "
    "position INT, consent STRING, features MAP<STRING,STRING>, timestamp TIMESTAMP, "
    "received_at TIMESTAMP"
)
ADS = (
    "ad_id STRING, campaign_id STRING, advertiser_id STRING, topic STRING, features MAP<STRING,STRING>, "
    "received_at TIMESTAMP"
)
USERS = "user_id STRING, consent STRING, features MAP<STRING,STRING>, received_at TIMESTAMP"
DEFAULT_POSITION = 4

minutes = st.integers(0, 400)
names = st.sampled_from(["unknown", "one", "two"])
consents = st.sampled_from(["unknown", "granted", "denied"])
ad_rows = st.lists(
    st.tuples(st.sampled_from(["a", "b"]), names, names, names, names, minutes),
    max_size=5,
    unique_by=lambda r: (r[0], r[-1]),
)
user_rows = st.lists(
    st.tuples(st.sampled_from(["u", "v"]), consents, names, minutes), max_size=5, unique_by=lambda r: (r[0], r[-1])
)
shown = st.lists(
    st.tuples(
        st.sampled_from(["u", "v"]), st.sampled_from(["a", "b"]), names, names,
        st.one_of(st.none(), st.integers(1, 3)), consents, st.booleans(), minutes,
    ),
    min_size=1, max_size=6,
)  # fmt: skip


def at(minute: int) -> datetime:
    return NOON + timedelta(minutes=minute)


def newest(rows, identity, before):
    known = [row for row in rows if row[0] == identity and at(row[-1]).timestamp() < before]
    return max(known, key=lambda row: row[-1], default=None)


def expected(row, ads, users):
    """The values of one impression by the pure function."""
    user, ad, campaign, advertiser, position, consent, has_site, minute = row
    stated = {
        "user_id": user, "ad_id": ad, "campaign_id": campaign, "advertiser_id": advertiser, "device_type": "phone",
        "position": str(position or DEFAULT_POSITION), "consent": consent,
        **({"features.site": "news"} if has_site else {}),
    }  # fmt: skip
    before = snapshot_time(at(minute).timestamp())
    told_ad, told_user = newest(ads, ad, before), newest(users, user, before)
    known_ad = (
        dict(zip(("ad.campaign_id", "ad.advertiser_id", "ad.topic", "ad.features.brand"), told_ad[1:-1], strict=True))
        if told_ad
        else {}
    )
    known_user = dict(zip(("user.consent", "user.features.band"), told_user[1:-1], strict=True)) if told_user else {}
    return {key: keys.key_value(key, stated, known_ad, known_user) for key in KEYS}


@given(shown, ad_rows, user_rows)
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_key_has_the_value_that_serving_would_find(spark, impressions, ads, users):
    rows = spark.createDataFrame(
        [
            (
                f"i{n}",
                user,
                ad,
                campaign,
                advertiser,
                "phone",
                position,
                consent,
                {"site": "news"} if site else {},
                at(minute),
                at(minute + 200),
            )
            for n, (user, ad, campaign, advertiser, position, consent, site, minute) in enumerate(impressions)
        ],
        IMPRESSIONS,
    )
    told_ads = spark.createDataFrame([(a, c, adv, t, {"brand": b}, at(m)) for a, c, adv, t, b, m in ads] or [], ADS)
    told_users = spark.createDataFrame([(u, c, {"band": b}, at(m)) for u, c, b, m in users] or [], USERS)
    found = keyed(rows, told_ads, told_users, KEYS, DEFAULT_POSITION).orderBy("impression_id").collect()
    assert [row["keys"].asDict() for row in found] == [expected(row, ads, users) for row in impressions]


TEXTS = (
    "1",
    "-2.5",
    ".5",
    "1.",
    "1e3",
    "true",
    "false",
    "",
    "nan",
    "inf",
    "1_000",
    "1d",
    "1e999",
    " 1",
    "1\n",
    "\u0661",
)


def test_numbers_are_read_as_in_python(spark):
    rows = spark.createDataFrame([((text,),) for text in TEXTS], "keys STRUCT<bid: STRING>")
    found = [row["bid"] for row in rows.select(number("bid").alias("bid")).collect()]
    wanted = [keys.number(text) for text in TEXTS]
    assert found == [None if math.isnan(value) else value for value in wanted]

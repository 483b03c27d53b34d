"""Bodies that serving takes as they stand: of now, and with ids of their own each time, so that each may be sent."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from data_contracts.landing import instant_text
from serving.predictions import minted_ids

Examples = Mapping[str, Any]
"""Bodies by a title."""

USER, AD, OTHER_AD = "visitor-7", "ad-00014", "ad-00003"


def examples(now: datetime, input_names: Sequence[str]) -> Mapping[str, Examples]:
    """By path; `input_names` are those of the model that answers /invocations."""
    return {
        "/predict": _predict(),
        **_events(now),
        **_catalog(),
        "/invocations": _invocations(input_names),
        "/model/activate/{version}": {"By its verdict": {}, "Over it": {"reason": "the gain was looked into"}},
    }


def _predict() -> Examples:
    features = {"position": 1, "device_type": "phone", "location": "location-3", "section": "section-3"}
    return {
        "One ad": {"user_id": USER, "ad_id": AD, "features": features},
        "A slate": {
            "user_id": USER,
            "ads": [{"ad_id": AD}, {"ad_id": OTHER_AD, "features": {"position": 2}}],
            "features": {"device_type": "phone"},
        },
    }


def _events(now: datetime) -> Mapping[str, Examples]:
    at = instant_text(now)
    first, second, third, *click_ids = minted_ids(6)
    shown = {"user_id": USER, "ad_id": AD, "timestamp": at, "device_type": "phone", "position": 1}
    click = {"impression_id": first, "timestamp": at}
    return {
        "/event/impression": {
            "One impression": {"impression_id": first, **shown, "features": {"site": "news", "hour": 23}},
            "Two at once": [
                {"impression_id": second, **shown},
                {"impression_id": third, **shown, "ad_id": OTHER_AD, "position": 2},
            ],
        },
        "/event/click": {
            "One click": {"click_id": click_ids[0], **click},
            "A click, and none": [
                {"click_id": click_ids[1], **click, "user_id": USER},
                {"click_id": click_ids[2], **click, "impression_id": second, "clicked": False},
            ],
        },
    }


def _catalog() -> Mapping[str, Examples]:
    ad = {"ad_id": AD, "campaign_id": "spring", "advertiser_id": "ada-shoes", "topic": "shoes"}
    user = {"user_id": USER, "consent": "granted"}
    return {
        "/catalog/ads": {"One ad": ad, "Two ads": [ad, {"ad_id": OTHER_AD, "features": {"price": 19.5}}]},
        "/catalog/users": {"One user": user, "Two users": [user, {"user_id": "visitor-8", "consent": "denied"}]},
    }


def _invocations(input_names: Sequence[str]) -> Examples:
    row = dict.fromkeys(input_names, 1.0)
    return {
        "dataframe_records": {"dataframe_records": [row]},
        "dataframe_split": {"dataframe_split": {"columns": list(row), "data": [list(row.values())]}},
        "instances": {"instances": [row]},
    }

"""The feature set of the tiny model: counts of ad and ad x device over a week."""

from data_contracts.features import DAY, Count

COUNTS = tuple(
    Count(keys=keys, event=event, window=7 * DAY)
    for keys in (("ad_id",), ("ad_id", "device_type"), ("user_id",))
    for event in ("impressions", "clicks")
)


def ctr(ad_clicks_7d, ad_impressions_7d, ad_device_type_clicks_7d, user_clicks_7d):
    """Smoothed CTR of the ad, a little more for what its device and user did."""
    return (ad_clicks_7d + 0.1 * ad_device_type_clicks_7d + 0.01 * user_clicks_7d + 1.0) / (ad_impressions_7d + 100.0)


def slot(position):
    """The slot, 1 is the best."""
    return position

"""The tiny model's counts, and what its CTR came to over all impressions of late."""

from data_contracts.features import DAY, HOUR, MILLION, Count, Sum

COUNTS = tuple(
    Count(keys=keys, event=event, window=7 * DAY)
    for keys in ((), ("ad_id",), ("ad_id", "device_type"), ("user_id",))
    for event in ("impressions", "clicks")
)
SUMS = (Sum("ctr", 6 * HOUR), Sum("ctr", 3 * DAY))


def ctr(ad_clicks_7d, ad_impressions_7d, ad_device_type_clicks_7d, user_clicks_7d):
    """Smoothed CTR of the ad, a little more for what its device and user did."""
    return (ad_clicks_7d + 0.1 * ad_device_type_clicks_7d + 0.01 * user_clicks_7d + 1.0) / (ad_impressions_7d + 100.0)


def slot(position):
    """The slot, 1 is the best."""
    return position


def level(sum_ctr_6h, sum_ctr_3d):
    """What was expected in the last hours, beside three days."""
    return (sum_ctr_6h + MILLION) / (sum_ctr_3d + MILLION)

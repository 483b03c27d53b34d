from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from serving.snapshot_check import checked


def test_a_sound_snapshot_passes(publish: Callable[..., Path]) -> None:
    assert checked(publish(totals=(7, 1))).impressions == 7


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"entities": {("ad_id", "shoes"): (1,)}}, "an entry does not match"),
        ({"entities": {("ad_id", "shoes"): (1, -1)}}, "an entry does not match"),
        ({"entities": {("campaign_id", "spring"): (1, 0)}}, "an entry does not match"),
        ({"entities": {("user_id", "u"): (1,)}}, "an entry does not match"),
        ({"entities": {("user_id", "u"): (1, -1)}}, "an entry does not match"),
        ({"totals": ("many", 1)}, "meta does not hold"),
        ({"totals": (10, -1)}, "meta does not hold"),
        ({"layout": ["ad_id"]}, "meta does not hold"),
    ],
)
def test_what_is_not_as_the_contract_says_is_refused(
    publish: Callable[..., Path], content: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        checked(publish(**content))

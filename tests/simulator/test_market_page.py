"""docs/market.md says what conf/market.toml does."""

import re
from pathlib import Path

import pytest

from simulator.knobs import load_knobs

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "market.md").read_text()
KNOBS = load_knobs()
RESPONSE, DRIFT, DELAY = KNOBS.response, KNOBS.drift, KNOBS.delay


def row(part: str) -> list[float]:
    """The numbers in a row of the table of the logit's parts."""
    (line,) = re.findall(rf"^\| {re.escape(part)}.*$", PAGE, flags=re.M)
    return [float(number) for number in re.findall(r"(?<![\w.])\d+(?:\.\d+)?(?![\w.])", line)]


@pytest.mark.parametrize(
    ("part", "numbers"),
    [
        ("base", [RESPONSE.click_rate]),
        ("quality of the campaign", [RESPONSE.campaign_quality, RESPONSE.ad_quality]),
        ("topic |", [RESPONSE.topic]),
        ("shift", [DRIFT.shift_day, DRIFT.shift]),
        ("device, place", [RESPONSE.device, RESPONSE.location, RESPONSE.hour, RESPONSE.weekday, RESPONSE.age_band]),
        ("section and", [RESPONSE.section_and_topic]),
        ("device and", [RESPONSE.device_and_topic]),
        ("age band and", [RESPONSE.age_band_and_topic]),
        ("place and", [RESPONSE.location_and_advertiser]),
        ("user;", [RESPONSE.user, RESPONSE.user_and_topic]),
        ("variant", [KNOBS.experiment.effect]),
    ],
)
def test_the_table_of_effects_has_the_numbers_of_conf(part, numbers):
    assert row(part) == numbers


@pytest.mark.parametrize(
    "words",
    [
        f"-{RESPONSE.position} · log2 *p*",
        f"-{RESPONSE.fatigue:.1f} · ln(1 + *n*)",
        f"on the {RESPONSE.fatigue_days - 1} days before",
        f"{DRIFT.topic:.1f} · sin(2π(*t* / {DRIFT.period_days:.0f} days",
        f"mean of {DELAY.seconds:.0f} seconds ({1 - DELAY.minutes_share - DELAY.days_share:.0%}".replace("%", " %"),
        f"{DELAY.minutes:.0f} minutes ({DELAY.minutes_share:.0%}".replace("%", " %"),
        f"{DELAY.days_scale_hours:.0f} hours and the exponent {DELAY.days_exponent} ({DELAY.days_share * 100:.0f} %)",
        f"one click in {1 / (DELAY.days_share * (1 + 24 / DELAY.days_scale_hours) ** -DELAY.days_exponent):.0f} comes",
        f"*r*^-{KNOBS.traffic.user_exponent}",
        f"have 1 to {KNOBS.traffic.most_slots} slots",
        f"{KNOBS.size.new_ads_per_day} new ads come each day",
        f"runs {KNOBS.size.ad_days:.0f} days in the mean",
        f"From day {KNOBS.experiment.start_day} on",
        f"`{KNOBS.experiment.name}`",
        f"A crawler clicks with probability {KNOBS.bots.crawler_click_rate}, a farmer",
    ],
)
def test_the_page_says_what_conf_says(words):
    assert words in " ".join(PAGE.split())

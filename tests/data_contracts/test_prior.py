import pytest

from data_contracts.prior import Prior, Shown, prior_ctr, smoothed_ctr

PRIOR = Prior(Shown(10, 1000), {"spring": Shown(6, 100)}, {"shoes": Shown(1, 10)}, {"shoes": "spring", "hats": "fall"})


@pytest.mark.parametrize(
    ("ad_id", "expected"),
    [
        ("shoes", (1 + (6 + 0.01 * 50) / 150 * 50) / 60),
        ("hats", 0.01),
        ("never seen", 0.01),
    ],
)
def test_an_ad_is_drawn_towards_its_campaign_and_that_towards_all(ad_id: str, expected: float) -> None:
    assert prior_ctr(PRIOR.inputs(ad_id, 50.0)) == pytest.approx(expected, rel=1e-15)


def test_without_strength_an_ad_never_seen_has_its_parents_ctr() -> None:
    assert prior_ctr(PRIOR.inputs("hats", 0.0)) == 0.01
    assert smoothed_ctr(0, 0, 0.25, 0.0) == 0.25


def test_it_reads_back_as_it_was() -> None:
    assert Prior.from_json(PRIOR.as_json()) == PRIOR


@pytest.mark.parametrize(
    "text", ["[]", "{", "{}", '{"total": [2, 1], "campaigns": {}, "ads": {}, "campaign_of": {}}', "null",
             '{"total": [0, 0], "campaigns": {}, "ads": {}, "campaign_of": {}}'],
)  # fmt: skip
def test_what_is_no_prior_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        Prior.from_json(text)

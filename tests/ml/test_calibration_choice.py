"""The choice of a calibration: Platt unless hours that were not fitted on say otherwise."""

import numpy as np
import pytest

from ml.calibrate import probabilities
from ml.calibration_choice import Candidate, chosen_calibration, compared
from ml.metrics import Floats, Labels, calibration_ratio, log_loss


def clicks_at(log_odds: Floats, seed: int) -> Labels:
    drawn = np.random.default_rng(seed).random(len(log_odds)) < 1 / (1 + np.exp(-log_odds))
    return drawn.astype(np.int8)


def margins_of(rows: int, seed: int) -> Floats:
    return np.random.default_rng(seed).normal(-2.5, 1.2, rows)


def test_platt_stays_where_it_is_the_truth() -> None:
    margins = margins_of(60_000, seed=1)
    found, candidates = chosen_calibration(margins, clicks_at(0.9 * margins - 0.2, seed=2))
    assert found.kind == "platt"
    assert [each.kind for each in candidates] == ["platt", "beta", "isotonic"]
    assert candidates[0].gain == 0.0
    assert not any(each.is_better for each in candidates)


def test_a_step_in_the_truth_is_followed_by_isotonic_and_pays_on_later_rows() -> None:
    margins = margins_of(120_000, seed=3)
    truth = np.where(margins < -2.5, -4.5, np.where(margins < -1.0, -2.0, -1.6))
    labels = clicks_at(truth, seed=4)
    found, candidates = chosen_calibration(margins[:80_000], labels[:80_000])
    assert found.kind == "isotonic"
    later, clicked = margins[80_000:], labels[80_000:]
    platt, *_, isotonic = candidates
    assert isotonic.gain > 5 * isotonic.noise
    assert platt.log_loss - isotonic.log_loss == pytest.approx(isotonic.gain, rel=1e-3)
    assert log_loss(clicked, probabilities(found, later)) < platt.log_loss - isotonic.gain / 2
    assert calibration_ratio(clicked, probabilities(found, later)) == pytest.approx(1.0, abs=0.03)


def test_a_bend_in_the_truth_is_followed_by_beta_or_isotonic() -> None:
    margins = np.random.default_rng(5).normal(0.0, 2.0, 80_000)
    softplus = np.logaddexp(0, margins)
    truth = -1.0 + 1.6 * softplus - 0.6 * np.logaddexp(0, -margins)
    found, candidates = chosen_calibration(margins, clicks_at(truth, seed=6))
    assert found.kind == "beta"
    assert candidates[1].is_better


def test_few_clicks_are_platts_without_a_choice() -> None:
    margins = margins_of(5_000, seed=7)
    labels = np.zeros(5_000, dtype=np.int8)
    labels[::9] = 1  # 556 clicks, of which every block leaves 463
    found, candidates = chosen_calibration(margins, labels)
    assert (found.kind, candidates) == ("platt", ())


def test_clicks_that_all_fall_into_one_block_are_no_evidence() -> None:
    labels = np.zeros(12_000, dtype=np.int8)
    labels[:2_000:2] = 1
    assert chosen_calibration(margins_of(12_000, seed=8), labels)[1] == ()


def test_each_block_is_judged_by_fits_that_have_not_seen_it() -> None:
    """The last sixth is clicked ten times as often: a fit that had seen it would expect more of it than this."""
    margins = np.full(60_000, -3.0)
    log_odds = np.where(np.arange(60_000) < 50_000, -3.0, -0.7)
    labels = clicks_at(log_odds, seed=9)
    expected = labels[:50_000].mean()
    rate = labels[50_000:].mean()
    unseen = -(rate * np.log(expected) + (1 - rate) * np.log1p(-expected))
    others = []
    for block in range(5):
        seen = np.r_[labels[: block * 10_000], labels[(block + 1) * 10_000 :]].mean()
        own = labels[block * 10_000 : (block + 1) * 10_000].mean()
        others.append(-(own * np.log(seen) + (1 - own) * np.log1p(-seen)))
    platt, _, isotonic = compared(margins, labels)
    assert isotonic.log_loss == pytest.approx((unseen + sum(others)) / 6, rel=1e-6)
    assert platt.log_loss == pytest.approx(isotonic.log_loss, rel=1e-2)


@pytest.mark.parametrize(("gain", "noise", "is_better"), [(0.2, 0.1, True), (0.1, 0.1, False), (-0.2, 0.1, False)])
def test_better_is_better_by_more_than_one_standard_error(gain: float, noise: float, is_better: bool) -> None:
    assert Candidate("beta", 0.3, gain, noise).is_better == is_better

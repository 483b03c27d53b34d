"""Bins of the reliability curve, and a picture that is one."""

from pathlib import Path

import numpy as np
import pytest

from ml.reliability import draw_reliability, reliability_bins, wilson_interval


def test_the_interval_of_a_rate_is_wilsons() -> None:
    # by hand: centre (0.1 + 0.0192073) / 1.0384146, half 1.96 / 1.0384146 * sqrt(0.0009 + 0.00009604)
    assert wilson_interval(10, 100) == pytest.approx((0.055229, 0.174366), abs=2e-6)
    assert wilson_interval(0, 50)[0] == 0
    assert wilson_interval(50, 50)[1] == 1


def test_bins_hold_about_equally_many_impressions_lowest_first() -> None:
    scores = np.linspace(0.01, 0.4, 400)
    labels = (np.arange(400) % 10 == 0).astype(np.int8)
    bins = reliability_bins(labels, scores)
    assert [(part.impressions, part.clicks) for part in bins] == [(100, 10)] * 4
    assert bins[0].predicted_ctr == pytest.approx(scores[:100].mean())
    assert bins[0].observed_ctr == 0.1


def test_few_clicks_make_few_bins_and_equal_scores_share_one() -> None:
    labels = np.zeros(1000, dtype=np.int8)
    labels[:40] = 1
    assert len(reliability_bins(labels, np.full(1000, 0.04))) == 1
    assert len(reliability_bins(labels[::20], np.linspace(0, 1, 50))) == 1


def test_the_picture_is_a_png(tmp_path: Path) -> None:
    labels = (np.arange(400) % 10 == 0).astype(np.int8)
    path = tmp_path / "reliability.png"
    draw_reliability(reliability_bins(labels, np.linspace(0.01, 0.4, 400)), "ad_ctr on the holdout", 1.5, path)
    assert path.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert len(path.read_bytes()) > 10_000

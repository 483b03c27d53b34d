"""A market is hard on purpose: little can be known, and main effects tell less than 60 % of it."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.linear_model import LogisticRegression

from simulator.knobs import load_knobs
from tests.simulator.conftest import market


def entropy(p, q):
    """Mean cross entropy of q under the truth p, in nats."""
    return float(-(p * np.log(q) + (1 - p) * np.log1p(-q)).mean())


def normalized(p, q):
    return entropy(p, q) / entropy(p, np.full(len(p), p.mean()))


@pytest.fixture(scope="module", params=[1, 2, 3])
def days(request):
    """Impressions, their true probabilities and a draw of their labels, of seven days by another seed each."""
    made = market(load_knobs(), days=7, impressions=20_000, seed=request.param)
    return made, list(made.days())


def test_the_oracles_normalized_entropy_is_between_080_and_090(days):
    rate = np.concatenate([day.rate for day in days[1]])
    assert 0.80 < normalized(rate, rate) < 0.90


def test_a_logistic_regression_on_main_effects_keeps_at_most_60_percent_of_what_can_be_explained(days):
    made, found = days
    columns, rate = [], np.concatenate([day.rate for day in found])
    for day in found:
        shown, campaign = day.shown, made.ads.campaign[day.shown.ad]
        hour = shown.time // 3_600_000_000 % 24
        kinds = (shown.ad, campaign, shown.device, shown.location, shown.section, shown.position, hour)
        columns.append(np.stack([*kinds, made.users.age_band[shown.user]]))
    table = np.concatenate(columns, axis=1)
    inputs = sparse.hstack([_one_hot(kind) for kind in table]).tocsr()
    clicked = np.random.default_rng(1).random(len(rate)) < rate
    holdout = np.arange(len(rate)) >= len(rate) * 6 // 7
    model = LogisticRegression(C=0.3, max_iter=300).fit(inputs[~holdout], clicked[~holdout])
    told = normalized(rate[holdout], model.predict_proba(inputs[holdout])[:, 1])
    kept = (1 - told) / (1 - normalized(rate[holdout], rate[holdout]))
    assert 0.05 < kept < 0.6


def _one_hot(kind):
    return sparse.csr_matrix((np.ones(len(kind)), (np.arange(len(kind)), kind)), shape=(len(kind), int(kind.max()) + 1))

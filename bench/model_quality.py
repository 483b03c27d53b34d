"""How much of what can be known of a market the model tells, on markets it was not tuned on, beside plainer models.

`python -m bench.model_quality [--impressions-per-day N] [--markets NAME ...]`. Each market takes the way of every log:
landing, tables, counts, labels, training set, training, gate. Judged is the model's own later holdout, by the true
probabilities that only the simulator knows. The last line of the output is one JSON object.
"""

import argparse
import json
from argparse import Namespace
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from bench.market import DAYS, END, market, spark_home
from cli.market_figures import Figures, figures, judged_holdout, true_probabilities
from data_contracts import registry
from data_contracts.settings import Settings
from ml.evaluate import evaluate, feature_set_of, loaded, scores_of
from ml.holdouts import Holdout, held_names
from ml.metrics import Floats
from ml.train import given_rows, train
from spark_jobs import build_holdout, build_training_set, count_events
from spark_jobs.session import Lake

TUNED = "seed 7, tuned on"
MARKETS: Mapping[str, tuple[int, str]] = {
    TUNED: (7, ""),
    "seed 11": (11, ""),
    "seed 13": (13, ""),
    "shift late and hard": (17, "[drift]\nshift_day = 9\nshift = 0.4\n"),
    "rare clicks": (19, "[response]\nclick_rate = 0.02\n"),
    "restless": (23, "[drift]\nshift = -0.3\ntopic = 0.4\n[size]\nnew_ads_per_day = 60\nad_days = 6.0\n"),
}
"""Name -> seed and knobs that replace those of conf/market.toml."""
PARENTS = ("campaign_clicks_28d", "campaign_impressions_28d", "advertiser_clicks_28d", "advertiser_impressions_28d")
OF_ALL = ("all_clicks_28d", "all_impressions_28d")
PRIOR_IMPRESSIONS = 200.0
LEAST_CLICKS = 1000


def by_the_pipeline(lake: Lake) -> None:
    """From tables and labels to a judged challenger, by the jobs of the DAGs."""
    count_events.main(lake, END, Namespace(anew=False))
    build_training_set.main(lake, END, Namespace())
    train(lake.settings, END)
    build_holdout.main(lake, END, Namespace(version=None))
    evaluate(lake.settings, END)


def judged(settings: Settings) -> dict[str, Any]:
    """Figures by model of one market, and the verdict."""
    version = registry.challenger(settings)
    if version is None or version.verdict is None:
        raise RuntimeError("the pipeline ended without a judged challenger")
    model = loaded(version)
    holdout = judged_holdout(settings, version, held_names(feature_set_of(model)))
    truths, scores = true_probabilities(settings, holdout.ids), scores_of(model, holdout)
    constant, regression = plainer_models(settings)
    new = holdout.slices["ad"] == "new"
    return {
        "model": asdict(figures(truths, scores)),
        "logistic regression": asdict(figures(truths, regression)),
        "constant": asdict(figures(truths, np.full(len(truths), constant))),
        "new ads, model": asdict(figures(truths[new], scores[new])),
        "new ads, parents' CTR": asdict(figures(truths[new], parents_ctr(holdout)[new])),
        "slices": worst_slices(holdout, truths, scores),
        "verdict": version.verdict.summary,
    }


def plainer_models(settings: Settings) -> tuple[float, Floats]:
    """The CTR of all rows before the holdout, and a logistic regression on the model's own features of these rows."""
    given = given_rows(settings, END)
    before = slice(given.rows["train"].start, given.rows["calibration"].stop)
    labels, features = given.training_set.labels[before], given.training_set.features
    scale = StandardScaler().fit(features[before])
    fitted = LogisticRegression(max_iter=200).fit(scale.transform(features[before]), labels)
    return float(labels.mean()), fitted.predict_proba(scale.transform(features[given.rows["holdout"]]))[:, 1]


def parents_ctr(holdout: Holdout) -> Floats:
    """The campaign's CTR over a month, drawn towards the advertiser's, and that towards that of all."""
    clicks, shown = (holdout.inputs[name].to_numpy(float) for name in OF_ALL)
    of_all = (clicks + 1) / (shown + PRIOR_IMPRESSIONS)
    campaign_clicks, campaign_shown, clicks, shown = (holdout.inputs[name].to_numpy(float) for name in PARENTS)
    of_advertiser = (clicks + PRIOR_IMPRESSIONS * of_all) / (shown + PRIOR_IMPRESSIONS)
    drawn: Floats = (campaign_clicks + PRIOR_IMPRESSIONS * of_advertiser) / (campaign_shown + PRIOR_IMPRESSIONS)
    return drawn


def worst_slices(holdout: Holdout, truths: Floats, scores: Floats) -> dict[str, float]:
    """The least and the greatest calibration of the gate's slices that lead to expect LEAST_CLICKS clicks."""
    found = [
        float(scores[rows].sum() / truths[rows].sum())
        for values in holdout.slices.values()
        for value in np.unique(values)
        if truths[rows := values == value].sum() >= LEAST_CLICKS
    ]
    return {"slices": len(found), "least": min(found, default=1.0), "greatest": max(found, default=1.0)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--impressions-per-day", type=int, default=50_000)
    parser.add_argument("--markets", nargs="+", default=list(MARKETS), choices=list(MARKETS))
    asked = parser.parse_args()
    with spark_home() as settings:
        found = {name: _of_market(settings, name, asked.impressions_per_day) for name in asked.markets}
    _report(found, asked.impressions_per_day)


def _of_market(settings: Settings, name: str, impressions: int) -> dict[str, Any]:
    seed, knobs = MARKETS[name]
    with market(settings, seed, impressions, knobs) as lake:
        by_the_pipeline(lake)
        return judged(lake.settings)


def _report(found: Mapping[str, Mapping[str, Any]], impressions: int) -> None:
    table = Table(title=f"{DAYS} days of {impressions:,} impressions", caption="calibration: expected / true clicks")
    for heading in ("market", "of", "NE of the truth", "NE", "explained", "calibration"):
        table.add_column(heading)
    for place, of in found.items():
        for name, each in of.items():
            if name in ("slices", "verdict"):
                continue
            own = Figures(**each)
            entropies = (f"{own.least_entropy:.4f}", f"{own.entropy:.4f}")
            table.add_row(place, name, *entropies, f"{own.explained:.1%}", f"{own.calibration:.3f}")
            place = ""
    Console().print(table)
    print(json.dumps({"bench": "model_quality", "impressions_per_day": impressions, "markets": found}))


if __name__ == "__main__":
    main()

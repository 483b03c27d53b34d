"""What the champion knows of a synthetic market, beside what can be known: only here is the truth opened."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import duckdb
import numpy as np
import pyarrow as pa
from rich.console import Console

from cli.grid import grid
from data_contracts.model_versions import RegisteredVersion
from data_contracts.settings import Settings
from ml.evaluate import feature_set_of, loaded, scores_of, tagged_instant
from ml.holdouts import Holdout, held_names, read_holdout
from ml.metrics import Floats, expected_normalized_entropy, explained_share
from ml.splits import Slice
from ml.training_sets import Texts, TrainingSetError
from simulator.truth import MARKET

HEADINGS = ("rows", "clicks expected / true", "normalized entropy", "the truth's own", "explained of what can be")


@dataclass(frozen=True)
class Figures:
    """Of some rows: the clicks that the model expects over those that the true probabilities lead to expect, and the
    entropies that these lead to expect; `explained` is NaN where the truth says the same of all."""

    rows: int
    calibration: float
    entropy: float
    least_entropy: float
    explained: float


def show_market_figures(settings: Settings, console: Console, champion: RegisteredVersion) -> None:
    """A line for all rows of the champion's holdout, and for its new ads and new users."""
    try:
        found = market_figures(settings, champion)
    except (TrainingSetError, duckdb.Error) as error:
        console.print(f"\nno figures against the market's truth: {error}", soft_wrap=True)
        return
    table = grid("holdout, against the truth", *HEADINGS, numbers=HEADINGS)
    for name, own in found.items():
        entropies = (f"{own.entropy:.4f}", f"{own.least_entropy:.4f}")
        explained = "-" if math.isnan(own.explained) else f"{own.explained:.1%}"
        table.add_row(name, f"{own.rows:,}", f"{own.calibration:.3f}", *entropies, explained)
    console.print()
    console.print(table)
    console.print("by the true probabilities of a click; the champion's line above is by the clicks that came of them")


def market_figures(settings: Settings, champion: RegisteredVersion) -> Mapping[str, Figures]:
    """Figures of the holdout that the champion was judged on. Raises TrainingSetError when it is not there any more."""
    model = loaded(champion)
    holdout = judged_holdout(settings, champion, held_names(feature_set_of(model)))
    scores, truths = scores_of(model, holdout), true_probabilities(settings, holdout.ids)
    new = {f"new {name}s": holdout.slices[name] == "new" for name in ("ad", "user")}
    chosen = {"all": np.ones(len(scores), bool)} | new
    return {name: figures(truths[rows], scores[rows]) for name, rows in chosen.items() if rows.any()}


def judged_holdout(settings: Settings, version: RegisteredVersion, names: Sequence[str]) -> Holdout:
    """The rows that a version was judged on, with these inputs. Raises TrainingSetError when they are not there."""
    evidence = version.verdict.evidence if version.verdict else {}
    if "holdout_id" not in evidence:
        raise TrainingSetError(f"version {version.version} was not judged on a holdout of this lake")
    window = Slice(*(tagged_instant(version, f"holdout_{edge}").timestamp() for edge in ("start", "end")))
    return read_holdout(settings, evidence["delta_versions"], evidence["holdout_id"], names, window)


def true_probabilities(settings: Settings, ids: Texts) -> Floats:
    """Of each impression, in the order of `ids`."""
    asked = pa.table({"impression_id": ids, "place": np.arange(len(ids))})
    with duckdb.connect() as connection:
        connection.register("asked", asked)
        rows = connection.execute(
            "SELECT probability FROM asked JOIN read_parquet(?) USING (impression_id) ORDER BY place",
            [str(settings.home / MARKET / "truth" / "*.parquet")],
        ).to_arrow_table()
    found: Floats = rows.column("probability").to_numpy()
    if len(found) != len(ids):
        raise TrainingSetError(f"the market knows {len(found):,} of the {len(ids):,} impressions of the holdout")
    return found


def figures(truths: Floats, scores: Floats) -> Figures:
    """How scores stand to the true probabilities of the same rows."""
    return Figures(
        len(truths),
        float(scores.sum() / truths.sum()),
        expected_normalized_entropy(truths, scores),
        expected_normalized_entropy(truths, truths),
        explained_share(truths, scores),
    )

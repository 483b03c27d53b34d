"""model_predictions and shadow_predictions -> model_comparisons; a canary whose calibration is off ends by it."""

import argparse
import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from data_contracts import registry
from data_contracts.registry import RegistryError
from data_contracts.sections import Canary
from data_contracts.tables import (
    AD_IMPRESSIONS,
    CLICKS,
    LABELS,
    MODEL_COMPARISONS,
    MODEL_PREDICTIONS,
    SHADOW_PREDICTIONS,
)
from spark_jobs.comparisons import NORMAL_95, Row, canary_comparison, shadow_comparisons
from spark_jobs.session import Lake, run_job

CERTAIN = 3.5
"""Standard errors: the same canary is looked at every hour. Of canaries as right as the champion under 1 in 100 is off
by so much at one of 168 looks; at 1.96 it would be one in four."""
EVER = datetime.fromtimestamp(0, UTC)
MOVED_AT = "%Y%m%dT%H%M%S.%fZ"


def calibration_problem(found: Mapping[str, Any], limits: Canary) -> str:
    """Why a canary must go by what was `found` of it; empty where it may stay, or too little is known."""
    change, low, high = (found[f"calibration_change{end}"] for end in ("", "_low", "_high"))
    if min(found["clicks"], found["served_clicks"]) < limits.least_clicks or low is None:
        return ""
    spread = math.log(high / low) / 2 / NORMAL_95
    is_certain = abs(math.log(change)) > CERTAIN * spread
    if limits.calibration_change_low <= change <= limits.calibration_change_high or not is_certain:
        return ""
    return (
        f"its calibration ratio is {change:.2f} times the champion's ({low:.2f} to {high:.2f}) by {found['clicks']} "
        f"and {found['served_clicks']} clicks at a label age of {limits.label_age_hours} h"
    )


def main(lake: Lake, as_of: datetime, arguments: argparse.Namespace) -> str:
    """Compare what is known before `as_of`: shadows over their mature labels, the canary with the champion. While
    MLflow is away nobody knows which is the canary."""
    limits = lake.settings.canary
    found = shadow_comparisons(lake.read(SHADOW_PREDICTIONS), lake.read(LABELS), as_of)
    _write(lake, "shadow", as_of, found)
    said = [f"{len(found)} of shadows"]
    try:
        if (canary := _canary(lake, as_of)) is not None:
            _write(lake, "canary", as_of, [canary])
            said.append(_judged(lake, canary, limits))
    except RegistryError as error:
        said.append(f"no canary, for {error}")
    return "model_comparisons: " + "; ".join(said)


def _write(lake: Lake, kind: str, as_of: datetime, found: Sequence[Row]) -> None:
    """What a run finds takes the place of what a run of the same as_of has found; a run that finds nothing, since the
    canary has ended by then, takes nothing away."""
    if found:
        rows = [tuple(row[name] for name in MODEL_COMPARISONS.column_names) for row in found]
        made = lake.spark.createDataFrame(rows, lake.read(MODEL_COMPARISONS).schema)
        lake.overwrite(MODEL_COMPARISONS, made, where=f"as_of = '{as_of.isoformat()}' AND kind = '{kind}'")


def _canary(lake: Lake, as_of: datetime) -> Row | None:
    aliases = registry.aliases(lake.settings)
    if "canary" not in aliases or "champion" not in aliases:
        return None
    version, champion = aliases["canary"], aliases["champion"]
    moves = registry.version(lake.settings, version).alias_moves
    began = max((when for when, words in moves.items() if words.startswith("canary")), default="")
    since = EVER
    if began and not lake.settings.clock.stated:  # under a stated clock all predictions are of one instant
        since = datetime.strptime(began, MOVED_AT).replace(tzinfo=UTC)
    predictions, impressions, clicks = (lake.read(table) for table in (MODEL_PREDICTIONS, AD_IMPRESSIONS, CLICKS))
    age = timedelta(hours=lake.settings.canary.label_age_hours)
    return canary_comparison(predictions, impressions, clicks, (version, champion), since, as_of, age)


def _judged(lake: Lake, found: Row, limits: Canary) -> str:
    version = found["model_version"]
    if problem := calibration_problem(found, limits):
        registry.end_canary(lake.settings, problem, version)
        return f"version {version} is the canary no more: {problem}"
    clicks = f"{found['clicks']} and {found['served_clicks']} clicks"
    return f"version {version} stays the canary, by {clicks} of its users and the champion's"


if __name__ == "__main__":
    run_job(main, argparse.ArgumentParser("compare_models", description=__doc__))

"""Judges the challenger: python -m ml.evaluate --as-of 2019-11-30T23:00:00Z

Challenger and champion score the challenger's holdout, which is later than all that either has seen, through the
registered models themselves: what is judged is what is served. Their inputs were made from the tables again, after
training (spark_jobs.build_holdout): an input that only training had is not there. The rows trained from must still be
those of the version's checksum. The verdict is kept with the version.
"""

import math
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

import mlflow

from data_contracts import registry
from data_contracts.features import FeatureSet, holdout_id
from data_contracts.model_versions import RegisteredVersion, Verdict
from data_contracts.registry import RegistryError
from data_contracts.sections import parsed_instant
from data_contracts.settings import Settings
from data_contracts.tables import AD_IMPRESSIONS, HOLDOUTS, TRAINING_SETS
from ml.command import exit_code, parser
from ml.gate import Judged, judge
from ml.holdouts import Holdout, held_names, lacking, read_holdout
from ml.metrics import Floats
from ml.model_run import git_commit
from ml.splits import Slice
from ml.training_sets import read_training_set, table_versions


def evaluate(settings: Settings, as_of: datetime, version: str | None = None) -> str:
    """Judge the challenger that was trained as of `as_of`, or a version in its place, record the verdict and give it as
    text for people."""
    challenger = challenger_of(settings, as_of, version)
    champion = registry.champion(settings)
    if champion and champion.version == challenger.version:
        return f"version {challenger.version} of {challenger.name} is the champion already; its verdict stands"
    verdict = verdict_on(settings, challenger, champion)
    registry.record_verdict(settings, challenger.version, verdict)
    against = f"champion version {champion.version}" if champion else "no champion"
    head = f"version {challenger.version} of {challenger.name} against {against}: {verdict.outcome}"
    return "\n".join([head, *(f"  - {reason}" for reason in verdict.reasons)])


def challenger_of(settings: Settings, as_of: datetime, version: str | None = None) -> RegisteredVersion:
    """The challenger, or the version that is judged in its place, if it is of `as_of`; RegistryError otherwise."""
    challenger = registry.version(settings, version) if version else registry.challenger(settings)
    if challenger is None:
        raise RegistryError(f"{settings.model_name} has no challenger; run python -m ml.train first")
    trained = tagged_instant(challenger, "as_of")
    if trained != as_of:
        raise RegistryError(
            f"the challenger, version {challenger.version} of {challenger.name}, was trained as of "
            f"{trained.isoformat()}, not {as_of.isoformat()}"
        )
    return challenger


def tagged_instant(version: RegisteredVersion, tag: str) -> datetime:
    """The instant that `tag` of `version` states; RegistryError when it states none."""
    try:
        return parsed_instant(version.tags[tag])
    except (KeyError, ValueError):
        raise RegistryError(f"version {version.version} of {version.name} has no instant as its tag {tag}") from None


def verdict_on(settings: Settings, challenger: RegisteredVersion, champion: RegisteredVersion | None) -> Verdict:
    """The gate's verdict, or `not_comparable` when no comparison would be fair."""
    evidence = _evidence(challenger, champion)
    start, end = tagged_instant(challenger, "holdout_start"), tagged_instant(challenger, "holdout_end")
    for who, each in (("challenger", challenger), ("champion", champion)):
        if each and (seen := tagged_instant(each, "trained_through")) > start:
            reason = (
                f"{who} version {each.version} has seen data up to {seen.isoformat()}, "
                f"which overlaps the holdout from {start.isoformat()}"
            )
            return Verdict("not_comparable", (reason,), (), evidence)
    model = loaded(challenger)
    incumbent = loaded(champion) if champion else None
    given = feature_set_of(model)
    versions = table_versions(settings, (TRAINING_SETS.name, HOLDOUTS.name, AD_IMPRESSIONS.name))
    name, trained_on = challenger.tags["training_set_id"], challenger.tags["training_set_checksum"]
    judged_on = holdout_id(name, champion.tags.get("feature_set_hash") if champion else None)
    needed = feature_set_of(incumbent) if incumbent else None
    for who, version, feature_set in (("challenger", challenger, given), ("champion", champion, needed)):
        if version and feature_set and (missing := lacking(settings, versions, judged_on, certain_inputs(feature_set))):
            reason = f"the holdout lacks inputs of {who} version {version.version}: {', '.join(missing)}"
            return Verdict("not_comparable", (reason,), (), evidence)
    found = read_training_set(settings, versions, name, given.feature_names).checksum
    evidence |= {"delta_versions": versions, "training_set_checksum_found": found}
    if found != trained_on:
        reason = (
            f"training set {name} has other rows now than version {challenger.version} was trained from: "
            f"checksum {found}, not {trained_on}; train again and evaluate that version"
        )
        return Verdict("not_comparable", (reason,), (), evidence)
    evidence |= {"holdout_id": judged_on}
    names = dict.fromkeys((*held_names(given), *(held_names(needed) if needed else ())))
    holdout = read_holdout(settings, versions, judged_on, tuple(names), Slice(start.timestamp(), end.timestamp()))
    champion_scores = scores_of(incumbent, holdout) if incumbent else None
    judged = Judged(holdout.labels, holdout.users, scores_of(model, holdout), champion_scores, holdout.slices)
    outcome, reasons, slices = judge(judged, settings.gate)
    return Verdict(outcome, reasons, slices, evidence | _holdout_evidence(settings, holdout))


def _evidence(challenger: RegisteredVersion, champion: RegisteredVersion | None) -> dict[str, Any]:
    tags = ("training_set_id", "training_set_checksum", "holdout_start", "holdout_end", "as_of")
    return {
        "challenger_version": challenger.version,
        "champion_version": champion.version if champion else None,
        **{name: challenger.tags[name] for name in tags},
        "git_commit": git_commit(),
    }


def _holdout_evidence(settings: Settings, holdout: Holdout) -> dict[str, Any]:
    return {
        "rows": len(holdout.labels),
        "clicks": int(holdout.labels.sum()),
        "users": len(set(holdout.users.tolist())),
        "gate": asdict(settings.gate),
    }


def loaded(version: RegisteredVersion) -> Any:
    """The registered pyfunc, whole in memory; MLflow by itself would leave its files in the temporary folder."""
    with tempfile.TemporaryDirectory() as folder:
        return mlflow.pyfunc.load_model(version.uri, dst_path=folder)


def feature_set_of(model: Any) -> FeatureSet:
    """The definitions that travel with a loaded pyfunc."""
    feature_set: FeatureSet = model.unwrap_python_model().feature_set
    return feature_set


def certain_inputs(feature_set: FeatureSet) -> list[str]:
    """The inputs that every row has, by their names in holdouts: all but numbers."""
    held = zip(feature_set.input_names, held_names(feature_set), strict=True)
    return [name for own, name in held if not math.isnan(feature_set.absent.get(own, 0.0))]


def scores_of(model: Any, holdout: Holdout) -> Floats:
    """Probabilities of the holdout's rows, by the registered model."""
    own = {held: name for name, held in feature_set_of(model).looked_up.items()}
    scores: Floats = model.predict(holdout.inputs.rename(columns=own))["probability"].to_numpy()
    return scores


def main(arguments: Sequence[str] | None = None) -> int:
    reads = parser(__doc__)
    reads.add_argument("--version", help="judge this version in place of the challenger")
    asked = reads.parse_args(arguments)
    return exit_code(lambda settings: evaluate(settings, asked.as_of, asked.version))


if __name__ == "__main__":
    sys.exit(main())

"""What serving says of itself: /health and /model/active."""

from collections.abc import Mapping
from datetime import datetime
from typing import Literal, TypedDict

from data_contracts.model_versions import CANARY, CHAMPION, PREVIOUS, Outcome
from data_contracts.settings import Settings
from serving.access import Access
from serving.counts import Snapshot, SnapshotStatus, SnapshotWatch
from serving.event_log import EventLog
from serving.loaded_model import LoadedModel
from serving.models import ModelWatch
from serving.problems import ProblemError


class RefusedVersion(TypedDict):
    """A version that would be the champion if it were sound."""

    version: str
    reason: str


class OtherHealth(TypedDict):
    """A version that is loaded beside the champion; `problem` is why it does not score, `share` the canary's, of
    users."""

    alias: str
    version: str
    share: float | None
    failures: int
    problem: str | None


class ModelHealth(TypedDict):
    """The champion in use, what keeps it or a newer one from answering, and the canary and shadows beside it."""

    version: str | None
    problem: str | None
    refused: RefusedVersion | None
    failures: int
    last_failure: str | None
    others: list[OtherHealth]


class PartHealth(TypedDict):
    """One part that serving stands on."""

    state: Literal["ok", "unreachable", "error"]
    problem: str | None


class Health(TypedDict):
    """`status` is ok, degraded (answers come, but not from the best rung) or unavailable (/predict answers 503)."""

    status: Literal["ok", "degraded", "unavailable"]
    model: ModelHealth
    registry: PartHealth
    snapshot: SnapshotStatus
    landing: PartHealth
    keys: PartHealth


class GateVerdict(TypedDict):
    """What the gate said of a version."""

    outcome: Outcome
    summary: str


class ActiveModel(TypedDict):
    """The champion; a metric that is no number is null."""

    model: str
    version: str
    run_id: str
    loaded_since: datetime
    feature_set_hash: str
    metrics: Mapping[str, float | None]
    verdict: GateVerdict | None
    registry: Literal["ok", "unreachable"]


def health(settings: Settings, models: ModelWatch, snapshots: SnapshotWatch, log: EventLog, access: Access) -> Health:
    """What this process has and lacks."""
    snapshot = snapshots.status(settings.clock.now())
    model = _model(models, snapshots)
    status: Literal["ok", "degraded", "unavailable"] = "ok"
    if snapshot["state"] != "fresh" or model["problem"] or model["refused"] or model["failures"]:
        status = "degraded"
    if (snapshot["state"] == "missing" and not models.in_use.has_prior) or log.problem:
        status = "unavailable"
    return {
        "status": status,
        "model": model,
        "registry": {
            "state": "unreachable" if models.registry_problem else "ok",
            "problem": models.registry_problem or None,
        },
        "snapshot": snapshot,
        "landing": {"state": "error" if log.problem else "ok", "problem": log.problem or None},
        "keys": {"state": "error" if access.problem else "ok", "problem": access.problem or None},
    }


class Readiness(TypedDict):
    """Whether this process should get requests; `reasons` say what it has lost, or lacks yet, that others may have."""

    status: Literal["ready", "unready"]
    reasons: list[str]


def readiness(models: ModelWatch, snapshots: SnapshotWatch, log: EventLog) -> Readiness:
    """For a load balancer."""
    reasons = []
    if models.lacks_champion:
        reasons.append(f"no model: {models.problem}")
    if snapshots.current is None and not models.in_use.has_prior:
        reasons.append(f"no counts: {snapshots.problem}")
    if log.problem:
        reasons.append(f"rows cannot be stored: {log.problem}")
    if log.is_nearly_full:
        reasons.append("the queue to the disk is nearly full")
    return {"status": "unready" if reasons else "ready", "reasons": reasons}


def _model(models: ModelWatch, snapshots: SnapshotWatch) -> ModelHealth:
    champion, refused = models.current, models.refused
    return {
        "version": champion.version if champion else None,
        "problem": _unserved_counts(champion, snapshots.current) if champion else models.problem,
        "refused": {"version": refused.version, "reason": refused.reason} if refused else None,
        "failures": champion.failures if champion else 0,
        "last_failure": (champion.last_failure or None) if champion else None,
        "others": _others(models, snapshots.current),
    }


def _others(models: ModelWatch, snapshot: Snapshot | None) -> list[OtherHealth]:
    in_use = models.in_use
    beside = {alias: model for alias, model in in_use.by_alias.items() if alias not in (CHAMPION, PREVIOUS)}
    refused: list[OtherHealth] = [
        {"alias": alias, "version": each.version, "share": None, "failures": 0, "problem": each.reason}
        for alias, each in models.refused_beside.items()
    ]
    return refused + [
        {
            "alias": alias,
            "version": model.version,
            "share": in_use.canary.share if alias == CANARY and in_use.canary is not None else None,
            "failures": model.failures,
            "problem": _lacking(model, snapshot) or model.last_failure or None,
        }
        for alias, model in beside.items()
    ]


def _lacking(model: LoadedModel, snapshot: Snapshot | None) -> str:
    lacking = set() if snapshot is None else set(model.count_names) - snapshot.names
    return f"the snapshot lacks {', '.join(sorted(lacking))}" if lacking else ""


def _unserved_counts(champion: LoadedModel, snapshot: Snapshot | None) -> str | None:
    lacking = _lacking(champion, snapshot)
    return f"{lacking}; the prior answers" if lacking else None


def active_model(settings: Settings, models: ModelWatch) -> ActiveModel:
    """The champion in use; raises ProblemError 404 with the reason when there is none."""
    champion = models.current
    if champion is None:
        raise ProblemError(404, "no_active_model", models.problem)
    verdict = champion.registered.verdict
    return {
        "model": settings.model_name,
        "version": champion.version,
        "run_id": champion.registered.run_id,
        "loaded_since": champion.since,
        "feature_set_hash": champion.feature_set_hash,
        "metrics": champion.registered.metrics,
        "verdict": {"outcome": verdict.outcome, "summary": verdict.summary} if verdict else None,
        "registry": "unreachable" if models.registry_problem else "ok",
    }

"""What serving says of itself: /health and /model/active."""

from collections.abc import Mapping
from typing import Any

from data_contracts.settings import Settings
from serving.counts import Snapshot, SnapshotWatch
from serving.event_log import EventLog
from serving.models import Champion, ChampionWatch
from serving.problems import ProblemError


def health(settings: Settings, champions: ChampionWatch, snapshots: SnapshotWatch, log: EventLog) -> Mapping[str, Any]:
    """`status` is ok, degraded (answers come, but not from the best rung) or unavailable (/predict answers 503)."""
    snapshot = snapshots.status(settings.clock.now())
    model = _model(champions, snapshots)
    status = "ok"
    if snapshot["state"] != "fresh" or any(model[name] for name in ("problem", "refused", "failures")):
        status = "degraded"
    if snapshot["state"] == "missing" or log.problem:
        status = "unavailable"
    return {
        "status": status,
        "model": model,
        "registry": {
            "state": "unreachable" if champions.registry_problem else "ok",
            "problem": champions.registry_problem or None,
        },
        "snapshot": snapshot,
        "landing": {"state": "error" if log.problem else "ok", "problem": log.problem or None},
    }


def _model(champions: ChampionWatch, snapshots: SnapshotWatch) -> dict[str, Any]:
    champion, refused = champions.current, champions.refused
    return {
        "version": champion.version if champion else None,
        "problem": _unserved_counts(champion, snapshots.current) if champion else champions.problem,
        "refused": {"version": refused.version, "reason": refused.reason} if refused else None,
        "failures": champion.failures if champion else 0,
        "last_failure": (champion.last_failure or None) if champion else None,
    }


def _unserved_counts(champion: Champion, snapshot: Snapshot | None) -> str | None:
    lacking = set() if snapshot is None else set(champion.count_names) - snapshot.names
    return f"the snapshot lacks {', '.join(sorted(lacking))}; the prior answers" if lacking else None


def active_model(settings: Settings, champions: ChampionWatch) -> Mapping[str, Any]:
    """The champion in use; raises ProblemError 404 with the reason when there is none."""
    champion = champions.current
    if champion is None:
        raise ProblemError(404, "no_active_model", champions.problem)
    verdict = champion.registered.verdict
    return {
        "model": settings.model_name,
        "version": champion.version,
        "run_id": champion.registered.run_id,
        "loaded_since": champion.since,
        "feature_set_hash": champion.feature_set_hash,
        "metrics": champion.registered.metrics,
        "verdict": {"outcome": verdict.outcome, "summary": verdict.summary} if verdict else None,
        "registry": "unreachable" if champions.registry_problem else "ok",
    }

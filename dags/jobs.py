"""The only file that knows operators: a job as a task, and how as_of reaches it."""

import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import Asset, CronTriggerTimetable, Param

from data_contracts import settings
from data_contracts.landing import instant_text
from data_contracts.sections import parsed_instant

AD_IMPRESSIONS, COUNT_TILES, LABELS = Asset("ad_impressions"), Asset("count_tiles"), Asset("labels")

FULL_HOUR = r"^\d{4}-\d{2}-\d{2}T\d{2}:00(:00(\.0+)?)?(Z|[+-]\d{2}:00)$"

AS_OF = Param(
    None,
    type=["null", "string"],
    format="date-time",
    pattern=FULL_HOUR,
    title="as of",
    description="Exclusive end of what the run may know, a full hour with its zone, for example "
    "2026-03-01T10:00:00Z. Empty: that of the run that triggered this one; for train_ad_ctr that of the newest "
    "counts and labels; else the hour the run is scheduled or backfilled for, but no later than the clock's last full "
    "hour.",
)
LET_BAD_BATCH_THROUGH = Param(
    False,
    type="boolean",
    title="let a bad batch through",
    description="Refine a batch although more of its rows are broken than ingest.worst_rejected_share allows; they "
    "go to rejected_events.",
)


def job(
    module: str,
    outlet: Asset | None = None,
    *,
    inlets: Sequence[Asset] = (),
    pool: str = "default_pool",
    name: str = "",
    tables: Sequence[str] = (),
    switch: str = "",
) -> BashOperator:
    """`python -m module --as-of ... [tables]` as a task of `pool`. The as_of travels in the environment, never inside
    the command, and in the event of `outlet`, unless this is a backfill: what follows is then as of its own hour, and
    no label or count is set back to a day of the past. A run by schedule or hand of tasks with `inlets` is as of what
    these have reached. `switch` names a boolean param that, when true, is a flag of the job."""

    def tell_as_of(context: Any, result: Any) -> None:
        if outlet and context["dag_run"].run_type != "backfill":
            given = (context.get(name) for name in ("params", "triggering_asset_events", "dag_run", "inlet_events"))
            context["outlet_events"][outlet].extra["as_of"] = as_of(*given)

    words = [f'exec "{sys.executable}" -m {module} --as-of "$AS_OF"', *tables]
    environment = {"AS_OF": "{{ as_of(params, triggering_asset_events, dag_run, inlet_events) }}"}
    if switch:
        words.append("$SWITCH")
        environment["SWITCH"] = f"{{{{ '--{switch.replace('_', '-')}' if params.{switch} else '' }}}}"
    return BashOperator(
        task_id=name or module.rpartition(".")[2],
        bash_command=" ".join(words),
        env=environment,
        append_env=True,
        pool=pool,
        inlets=list(inlets),
        outlets=[outlet] if outlet else [],
        post_execute=tell_as_of,
    )


def as_of(params: Mapping[str, Any], events: Mapping[Asset, Iterable[Any]] | None, dag_run: Any, inlets: Any) -> str:
    """The run's as_of as ISO 8601 text: as asked, else the newest one told by the triggering events, else the one that
    all `inlets` had reached when the run was due, else the last full hour before what it is scheduled or backfilled for
    (its logical date; a run by hand has none: when it was due), but none after the clock's own. The same for every task
    and try of a run."""
    if params.get("as_of"):
        return str(params["as_of"])
    if told := _told(event for many in (events or {}).values() for event in many):
        return max(told, key=parsed_instant)
    reached = [_told(inlets[asset].before(dag_run.run_after).ascending(False).limit(1)) for asset in inlets or ()]
    if reached and all(reached):
        return min((newest for (newest,) in reached), key=parsed_instant)
    clock = settings.load().clock
    now = clock.now() if clock.stated else dag_run.run_after
    asked = min(dag_run.logical_date or dag_run.run_after, now)
    return instant_text(asked.replace(minute=0, second=0, microsecond=0))


def _told(events: Iterable[Any]) -> list[str]:
    return [str(event.extra["as_of"]) for event in events if "as_of" in event.extra]


def at(cron: str) -> CronTriggerTimetable | None:
    """The timetable of a cron expression of conf, in UTC; None for "". A DAG that has never run waits for the next time
    rather than make up for the last one."""
    return CronTriggerTimetable(cron, timezone="UTC", run_immediately=timedelta(0)) if cron else None


EVERY_DAG: dict[str, Any] = {
    "catchup": False,
    "max_active_runs": 1,
    "params": {"as_of": AS_OF},
    "tags": ["clicklake"],
    "user_defined_macros": {"as_of": as_of},
    "default_args": {
        "retries": 2,
        "retry_delay": timedelta(seconds=10),
        "execution_timeout": timedelta(hours=2),
    },
}
"""What all DAGs share: one run at a time, and an as_of that comes by hand, from the triggering event or the clock."""

"""The only file that knows operators: a job as a task, and how as_of reaches it."""

import sys
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import Asset, Param

from data_contracts import settings
from data_contracts.landing import instant_text
from data_contracts.sections import parsed_instant

AD_IMPRESSIONS = Asset("ad_impressions")
TRAINING_SETS = Asset("training_sets")

FULL_HOUR = r"^\d{4}-\d{2}-\d{2}T\d{2}:00(:00(\.0+)?)?(Z|[+-]\d{2}:00)$"

AS_OF = Param(
    None,
    type=["null", "string"],
    format="date-time",
    pattern=FULL_HOUR,
    title="as of",
    description="Exclusive end of what the run may know, a full hour with its zone, for example "
    "2019-11-30T23:00:00Z. Empty: that of the run that triggered this one, else the clock's last full hour.",
)


def job(module: str, outlet: Asset | None = None) -> BashOperator:
    """`python -m module --as-of ...` as a task. The as_of travels in the environment, never inside the command, and in
    the event of `outlet`."""

    def tell_as_of(context: Any, result: Any) -> None:
        if outlet:
            told = context.get("triggering_asset_events")
            context["outlet_events"][outlet].extra["as_of"] = as_of(context["params"], told, context["dag_run"])

    return BashOperator(
        task_id=module.rpartition(".")[2],
        bash_command=f'exec "{sys.executable}" -m {module} --as-of "$AS_OF"',
        env={"AS_OF": "{{ as_of(params, triggering_asset_events, dag_run) }}"},
        append_env=True,
        outlets=[outlet] if outlet else [],
        post_execute=tell_as_of,
    )


def as_of(params: Mapping[str, Any], events: Mapping[Asset, Iterable[Any]] | None, dag_run: Any) -> str:
    """The run's as_of as ISO 8601 text: as asked, else the newest one told by the triggering events, else the last full
    hour of the stated clock, or before the run was due. The same for every task and try of a run."""
    if params.get("as_of"):
        return str(params["as_of"])
    told = [str(event.extra["as_of"]) for many in (events or {}).values() for event in many if "as_of" in event.extra]
    if told:
        return max(told, key=parsed_instant)
    clock = settings.load().clock
    now = clock.now() if clock.stated else dag_run.run_after
    return instant_text(now.replace(minute=0, second=0, microsecond=0))


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

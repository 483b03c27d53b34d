"""The three DAGs from landing to a champion, started for one instant and followed until the last has ended."""

import time
from collections.abc import Callable
from typing import TypeVar

from rich.console import Console

from cli.airflow import Airflow, Task
from cli.errors import CommandError
from cli.progress import Board, Row, board
from cli.timings import record
from dags.pools import WRITERS
from data_contracts.settings import Settings

Answer = TypeVar("Answer")

DAGS = ("ingest_events", "build_features", "train_ad_ctr")
POLL_SECONDS = 0.5
# How long a DAG may take to be parsed after a start, or to be started by the asset it waits for.
PATIENCE_SECONDS = 120


def run_pipeline(settings: Settings, console: Console, instant: str) -> None:
    """Runs what has not succeeded yet as of an instant; CommandError tells of the task that failed.

    Runs are named by the instant, so that they are made once; a failed run goes on where it failed. An asset starts the
    second DAG.
    """
    first, second, last = DAGS
    with Airflow(settings) as airflow, board(console, f"DAGs as of {instant}") as shown:
        airflow.make_pools(WRITERS)
        logs = settings.home / "airflow" / "logs"
        for dag in DAGS:
            _until(airflow.knows, dag, otherwise=f"{dag} was not parsed: see {logs}")
            airflow.unpause(dag)
            for name in airflow.task_names(dag):
                shown.show(Row(name, "waiting", 0, group=dag))
        run = _triggered(airflow, first, instant)
        _follow(settings, airflow, shown, first, run)
        missing = f"{second} was not started by what {first} wrote: see {settings.airflow_url}/dags/{second}"
        _follow(settings, airflow, shown, second, _until(airflow.run_caused_by, first, run, second, otherwise=missing))
        _follow(settings, airflow, shown, last, _triggered(airflow, last, instant))


def _triggered(airflow: Airflow, dag: str, instant: str) -> str:
    run = f"as_of_{instant}"
    if airflow.run_state(dag, run) is None:
        airflow.trigger(dag, run, {"as_of": instant})
    return run


def _follow(settings: Settings, airflow: Airflow, shown: Board, dag: str, run: str) -> None:
    """Shows the tasks of a run until it has ended, and records the seconds they took."""
    state = airflow.run_state(dag, run)
    was_done = state == "success"
    if state == "failed":
        airflow.retry(dag, run)
    while True:
        # The state is asked first: the tasks read after it are at least as far.
        state = airflow.run_state(dag, run)
        tasks = airflow.tasks(dag, run)
        for task in tasks:
            shown.show(Row(task.name, task.state, task.seconds, _note(task, was_done), group=dag))
        if state == "success":
            break
        if state == "failed":
            raise CommandError(_failure(settings, airflow, tasks))
        time.sleep(POLL_SECONDS)
    record(settings, {f"task {dag}.{task.name}": task.seconds for task in tasks})


def _note(task: Task, was_done: bool) -> str:
    if was_done:
        return "done before"
    return f"try {task.tried}" if task.tried > 1 else ""


def _failure(settings: Settings, airflow: Airflow, tasks: list[Task]) -> str:
    failed = next((task for task in tasks if task.state == "failed"), tasks[0])
    said = "\n".join(f"    {line}" for line in airflow.last_words(failed)) or "    (its log is empty)"
    return (
        f"{failed.dag}.{failed.name} failed after {failed.tried} tries. Its last words:\n{said}\n"
        f"All of them: {settings.airflow_url}/dags/{failed.dag}/runs/{failed.run}/tasks/{failed.name}\n"
        "The services stay up. Once it is mended, `clicklake run` goes on with the task that failed."
    )


def _until(question: Callable[..., Answer | None], *about: str, otherwise: str) -> Answer:
    """The first true answer to `question(*about)`; CommandError(otherwise) when there is none for PATIENCE_SECONDS."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (answer := question(*about)):
        if time.monotonic() > deadline:
            raise CommandError(otherwise)
        time.sleep(POLL_SECONDS)
    return answer

"""A client of Airflow's REST API: what it takes to start a DAG's run, follow its tasks and read their logs."""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from graphlib import TopologicalSorter
from typing import Any

import httpx

from cli.airflow_home import airflow_password
from cli.errors import CommandError
from data_contracts.settings import Settings

# A busy machine may keep the server from answering for a while; what is only read is asked again.
PATIENCE_SECONDS = 60


@dataclass(frozen=True)
class Task:
    """One task of a run, as of now; `tried` is 0 until its first try."""

    dag: str
    run: str
    name: str
    state: str
    seconds: float
    tried: int


class Airflow:
    """Logged in as the platform's user; to be used in a `with`."""

    def __init__(self, settings: Settings) -> None:
        self._client = httpx.Client(base_url=settings.airflow_url, timeout=30, trust_env=False)
        login = {"username": settings.services.airflow_user, "password": airflow_password(settings)}
        token = self._call("POST", "/auth/token", json=login)["access_token"]
        self._client.headers["Authorization"] = f"Bearer {token}"

    def __enter__(self) -> "Airflow":
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def knows(self, dag: str) -> bool:
        """Whether the DAG was parsed; CommandError says why it could not be."""
        if self._found(f"/dags/{dag}") is not None:
            return True
        broken = self._call("GET", "/api/v2/importErrors")["import_errors"]
        if broken:
            raise CommandError(f"{broken[0]['filename']} cannot be parsed:\n{broken[0]['stack_trace']}")
        return False

    def make_pools(self, names: Iterable[str]) -> None:
        """One slot each; a pool that is there with another number gets one again."""
        pools = [{"name": name, "slots": 1, "description": "one writer at a time"} for name in names]
        action = {"action": "create", "entities": pools, "action_on_existence": "overwrite"}
        done = self._call("PATCH", "/api/v2/pools", json={"actions": [action]})
        if errors := done["create"]["errors"]:
            raise CommandError(f"Airflow did not make the pools: {errors}")

    def unpause(self, dag: str) -> None:
        self._call("PATCH", f"/api/v2/dags/{dag}", json={"is_paused": False})

    def task_names(self, dag: str) -> list[str]:
        """In the order of the graph, upstream first."""
        tasks = self._call("GET", f"/api/v2/dags/{dag}/tasks")["tasks"]
        return upstream_first({task["task_id"]: task["downstream_task_ids"] for task in tasks})

    def run_state(self, dag: str, run: str) -> str | None:
        """queued, running, success or failed; None when there is no such run."""
        found = self._found(f"/dags/{dag}/dagRuns/{run}")
        return str(found["state"]) if found else None

    def trigger(self, dag: str, run: str, conf: Mapping[str, Any]) -> None:
        # A moment ago, so that the scheduler need not wait for its next look at the clock.
        now = (datetime.now(UTC) - timedelta(seconds=1)).isoformat()
        body = {"dag_run_id": run, "logical_date": None, "run_after": now, "conf": dict(conf)}
        self._call("POST", f"/api/v2/dags/{dag}/dagRuns", json=body)

    def retry(self, dag: str, run: str) -> None:
        """Lets the failed tasks of a run, and what waited for them, run again."""
        self._call("POST", f"/api/v2/dags/{dag}/dagRuns/{run}/clear", json={"dry_run": False, "only_failed": True})

    def run_caused_by(self, dag: str, run: str, downstream: str) -> str | None:
        """The newest run of `downstream` started by an asset that this run wrote; None as long as there is none."""
        query = {"source_dag_id": dag, "source_run_id": run, "order_by": "-timestamp"}
        answer = self._answer("GET", "/api/v2/assets/events", {"params": query})
        # Airflow 3.3.2 fails to describe a run that is still queued (its start_date is null): as good as none yet.
        if answer.status_code == httpx.codes.INTERNAL_SERVER_ERROR:
            return None
        for event in self._content(answer)["asset_events"]:
            for created in event["created_dagruns"]:
                if created["dag_id"] == downstream:
                    return str(created["run_id"])
        return None

    def tasks(self, dag: str, run: str) -> list[Task]:
        found = self._call("GET", f"/api/v2/dags/{dag}/dagRuns/{run}/taskInstances", params={"limit": 100})
        return [_task(instance) for instance in found["task_instances"]]

    def last_words(self, task: Task, lines: int = 20) -> list[str]:
        """The last lines of the log of a task's latest try; none when it never ran."""
        path = f"/dags/{task.dag}/dagRuns/{task.run}/taskInstances/{task.name}/logs/{max(task.tried, 1)}"
        found = self._found(path) or {"content": []}
        said = map(_line, found["content"])
        return [line for line in said if not line.startswith(("::group::", "::endgroup::"))][-lines:]

    def _found(self, path: str) -> dict[str, Any] | None:
        answer = self._answer("GET", f"/api/v2{path}", {})
        return None if answer.status_code == httpx.codes.NOT_FOUND else self._content(answer)

    def _call(self, method: str, path: str, **arguments: Any) -> dict[str, Any]:
        return self._content(self._answer(method, path, arguments))

    def _answer(self, method: str, path: str, arguments: Mapping[str, Any]) -> httpx.Response:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                return self._client.request(method, path, **arguments)
            except httpx.TransportError as error:
                if method != "GET" or time.monotonic() > deadline:
                    raise CommandError(f"Airflow does not answer ({error}): see `clicklake status`") from None
                time.sleep(0.5)

    @staticmethod
    def _content(answer: httpx.Response) -> dict[str, Any]:
        if answer.is_error:
            request = answer.request
            raise CommandError(
                f"Airflow answered {answer.status_code} to {request.method} {request.url.path}: {answer.text[:500]}"
            )
        return dict(answer.json()) if answer.content else {}


def upstream_first(downstream: Mapping[str, Sequence[str]]) -> list[str]:
    """The tasks of a graph (task -> those that follow it), each after all that it follows."""
    sorter = TopologicalSorter({task: set[str]() for task in downstream})
    for task, following in downstream.items():
        for each in following:
            sorter.add(each, task)
    return list(sorter.static_order())


def _task(instance: Mapping[str, Any]) -> Task:
    running = instance["state"] == "running" and instance["start_date"]
    since = datetime.now(UTC) - datetime.fromisoformat(instance["start_date"]) if running else timedelta(0)
    return Task(
        dag=instance["dag_id"],
        run=instance["dag_run_id"],
        name=instance["task_id"],
        state=(instance["state"] or "waiting").replace("_", " "),
        seconds=since.total_seconds() if running else instance["duration"] or 0.0,
        tried=instance["try_number"],
    )


def _line(message: object) -> str:
    """The text of a structured log message (Airflow's `event`)."""
    return str(message.get("event", message)) if isinstance(message, dict) else str(message)

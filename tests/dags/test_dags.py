import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LOADED = """
import json
from airflow.dag_processing.dagbag import DagBag
from dags.jobs import AS_OF
bag = DagBag("dags")
print(json.dumps({"pattern": AS_OF.schema["pattern"],
    "errors": bag.import_errors, "dags": {name: {
    "tasks": {task.task_id: sorted(task.upstream_task_ids) for task in dag.tasks},
    "commands": [task.bash_command for task in dag.tasks], "retries": [task.retries for task in dag.tasks],
    "doc": dag.doc_md, "max_active_runs": dag.max_active_runs, "params": sorted(dag.params), "tags": sorted(dag.tags),
    "outlets": sorted(asset.name for task in dag.tasks for asset in task.outlets),
    "schedule": sorted(asset.name for asset in getattr(dag.timetable.asset_condition, "objects", []))}
    for name, dag in bag.dags.items()}}))
"""


@pytest.fixture(scope="module")
def bag(tmp_path_factory):
    """The DAGs as Airflow itself loads them, in a process of its own: importing Airflow changes the root logger."""
    environ = os.environ | {
        "AIRFLOW_HOME": str(tmp_path_factory.mktemp("airflow")),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "PYTHONPATH": str(ROOT),
    }
    found = subprocess.run(
        [sys.executable, "-c", LOADED], cwd=ROOT, env=environ, capture_output=True, text=True, check=False
    )
    assert found.returncode == 0, found.stderr
    return json.loads(found.stdout.splitlines()[-1])


def test_airflow_finds_the_three_dags_without_an_error(bag):
    assert bag["errors"] == {}
    assert sorted(bag["dags"]) == ["build_features", "ingest_events", "train_ad_ctr"]


def test_tasks_run_in_the_order_of_the_data(bag):
    assert {name: dag["tasks"] for name, dag in bag["dags"].items()} == {
        "ingest_events": {
            "load_events": [],
            "refine_events": ["load_events"],
            "validate_table": ["refine_events"],
        },
        "build_features": {
            "count_events": [],
            "publish_counts": ["count_events"],
            "label_impressions": [],
            "build_training_set": ["count_events", "label_impressions"],
        },
        "train_ad_ctr": {"train": [], "evaluate": ["train"], "promote": ["evaluate"]},
    }


def test_dags_are_linked_by_assets(bag):
    links = {name: (dag["schedule"], dag["outlets"]) for name, dag in bag["dags"].items()}
    assert links == {
        "ingest_events": ([], ["ad_impressions"]),
        "build_features": (["ad_impressions"], ["training_sets"]),
        "train_ad_ctr": (["training_sets"], []),
    }


def test_every_dag_retries_says_what_it_is_and_runs_one_at_a_time(bag):
    for name, dag in bag["dags"].items():
        assert set(dag["retries"]) == {2}
        assert dag["doc"].startswith(f"# {name}\n")
        assert (dag["max_active_runs"], dag["params"], dag["tags"]) == (1, ["as_of"], ["clicklake"])


def test_what_a_person_types_never_becomes_part_of_a_command(bag):
    commands = [command for dag in bag["dags"].values() for command in dag["commands"]]
    assert len(commands) == 10
    assert all("{{" not in command and command.endswith('--as-of "$AS_OF"') for command in commands)


def test_dag_files_are_wiring_only():
    for path in (ROOT / "dags").glob("*.py"):
        if path.name != "jobs.py":
            assert len(path.read_text().splitlines()) <= 40, path


AS_OF = """
import sys
from datetime import datetime
from types import SimpleNamespace
from dags.jobs import AD_IMPRESSIONS, as_of
told = [SimpleNamespace(extra={"as_of": text}) for text in sys.argv[2:]]
run = SimpleNamespace(run_after=datetime.fromisoformat("2026-03-01T12:59:59+00:00"))
print(as_of({"as_of": sys.argv[1] or None}, {AD_IMPRESSIONS: told}, run))
"""


def as_of_of_a_run(typed, told, **environ):
    command = [sys.executable, "-c", AS_OF, typed, *told]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("CLICKLAKE_")}
    found = subprocess.run(command, cwd=ROOT, env=clean | environ, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
    return found.stdout.splitlines()[-1]


@pytest.mark.parametrize(
    ("typed", "told", "expected"),
    [
        ("2019-11-29T01:00:00Z", ["2019-11-30T23:00:00Z"], "2019-11-29T01:00:00Z"),
        ("", ["2019-11-30T22:00:00Z", "2019-11-30T23:00:00Z", "2019-11-30T23:30:00+01:00"], "2019-11-30T23:00:00Z"),
        ("", [], "2019-11-30T23:00:00.000000Z"),
    ],
)
def test_as_of_is_what_was_typed_else_what_the_trigger_told_else_the_clocks_last_hour(typed, told, expected):
    assert as_of_of_a_run(typed, told) == expected


def test_with_the_real_clock_every_task_and_try_of_a_run_has_the_hour_before_it_was_due(tmp_path):
    overlay = tmp_path / "real_clock.toml"
    overlay.write_text('[clock]\nstated = ""\n')
    assert as_of_of_a_run("", [], CLICKLAKE_CONF=str(overlay)) == "2026-03-01T12:00:00.000000Z"


@pytest.mark.parametrize(
    ("text", "is_accepted"),
    [
        ("2019-11-30T23:00:00Z", True),
        ("2019-11-30T23:00:00+00:00", True),
        ("2019-11-30T23:00:00.000Z", True),
        ("2019-11-30T23:30:00Z", False),
        ("2019-11-30T23:00:00", False),
        ("2019-11-30", False),
        ("2019-11-30T23:00:00Z; touch x", False),
    ],
)
def test_an_as_of_is_a_full_hour_that_states_its_zone(bag, text, is_accepted):
    assert bool(re.search(bag["pattern"], text)) is is_accepted

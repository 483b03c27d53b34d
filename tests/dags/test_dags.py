import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from dags.pools import WRITERS
from data_contracts.tables import TABLES

ROOT = Path(__file__).resolve().parents[2]
LOADED = """
import json
from airflow.dag_processing.dagbag import DagBag
bag = DagBag("dags")
print(json.dumps({"errors": bag.import_errors, "dags": {name: {
    "tasks": {task.task_id: sorted(task.upstream_task_ids) for task in dag.tasks},
    "pools": {task.task_id: task.pool for task in dag.tasks},
    "commands": {task.task_id: task.bash_command for task in dag.tasks},
    "retries": [task.retries for task in dag.tasks],
    "doc": dag.doc_md, "params": sorted(dag.params), "tags": sorted(dag.tags), "paused": dag.is_paused_upon_creation,
    "limits": [dag.max_active_runs, dag.max_active_tasks, dag.catchup],
    "outlets": sorted(asset.name for task in dag.tasks for asset in task.outlets),
    "inlets": [names for task in dag.tasks if (names := sorted(asset.name for asset in task.inlets))],
    "cron": getattr(dag.timetable, "expression", None),
    "schedule": sorted(asset.name for asset in getattr(dag.timetable.asset_condition, "objects", []))}
    for name, dag in bag.dags.items()}}))
"""
REFINED = "ad_impressions clicks ads users model_predictions shadow_predictions rejected_events"


def loaded_bag(home, **environ):
    environ = {
        **{name: value for name, value in os.environ.items() if not name.startswith("CLICKLAKE_")},
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "PYTHONPATH": str(ROOT),
        **environ,
    }
    command = [sys.executable, "-c", LOADED]
    found = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
    return json.loads(found.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def bag(tmp_path_factory):
    """The DAGs as Airflow itself loads them, in a process of its own: importing Airflow changes the root logger."""
    return loaded_bag(tmp_path_factory.mktemp("airflow"))


def test_airflow_finds_the_dags_without_an_error(bag):
    assert bag["errors"] == {}
    assert sorted(bag["dags"]) == ["build_features", "ingest_events", "maintain_tables", "train_ad_ctr"]


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
            "compare_models": ["label_impressions"],
            "join_clicks": [],
            "mirror_models": [],
        },
        "maintain_tables": {
            "release_segments": [],
            "maintain_raw_events": [],
            "maintain_refined_tables": [],
            "maintain_validation_results": [],
            "maintain_count_tiles": [],
            "maintain_labels": [],
            "maintain_training_sets": [],
            "maintain_holdouts": [],
            "maintain_model_metadata": [],
            "maintain_model_comparisons": [],
            "maintain_table_sizes": [],
        },
        "train_ad_ctr": {
            "build_training_set": [],
            "train": ["build_training_set"],
            "build_holdout": ["train"],
            "evaluate": ["build_holdout"],
            "promote": ["evaluate"],
            "mirror_models": ["promote"],
        },
    }


def test_dags_are_linked_by_assets(bag):
    links = {name: (dag["schedule"], dag["outlets"], dag["inlets"]) for name, dag in bag["dags"].items()}
    assert links == {
        "ingest_events": ([], ["ad_impressions"], []),
        "build_features": (["ad_impressions"], ["count_tiles", "labels"], []),
        "train_ad_ctr": ([], [], [["count_tiles", "labels"]] * 6),
        "maintain_tables": ([], [], []),
    }


def test_a_table_is_written_by_the_tasks_of_one_pool(bag):
    pools = {name: pool for dag in bag["dags"].values() for name, pool in dag["pools"].items()}
    assert pools == {
        "load_events": "raw_events",
        "release_segments": "raw_events",
        "maintain_raw_events": "raw_events",
        "refine_events": "refined_tables",
        "maintain_refined_tables": "refined_tables",
        "validate_table": "validation_results",
        "maintain_validation_results": "validation_results",
        "count_events": "count_tiles",
        "maintain_count_tiles": "count_tiles",
        "label_impressions": "labels",
        "join_clicks": "labels",
        "maintain_labels": "labels",
        "build_training_set": "training_sets",
        "maintain_training_sets": "training_sets",
        "build_holdout": "holdouts",
        "maintain_holdouts": "holdouts",
        "mirror_models": "model_metadata",
        "maintain_model_metadata": "model_metadata",
        "compare_models": "model_comparisons",
        "maintain_model_comparisons": "model_comparisons",
        "maintain_table_sizes": "table_sizes",
        "publish_counts": "default_pool",
        "train": "default_pool",
        "evaluate": "default_pool",
        "promote": "default_pool",
    }


def test_every_table_is_maintained_in_the_pool_of_its_writer(bag):
    assert sorted(table for tables in WRITERS.values() for table in tables) == sorted(TABLES)
    commands = bag["dags"]["maintain_tables"]["commands"]
    assert commands["maintain_refined_tables"].endswith(f'-m spark_jobs.maintain_tables --as-of "$AS_OF" {REFINED}')
    assert commands["maintain_labels"].endswith(' --as-of "$AS_OF" labels click_joins')


def test_every_dag_retries_says_what_it_is_and_runs_one_at_a_time(bag):
    for name, dag in bag["dags"].items():
        assert set(dag["retries"]) == {2}
        assert dag["doc"].startswith(f"# {name}\n")
        assert (dag["limits"][0], dag["tags"]) == (1, ["clicklake"])
        assert dag["params"] == (["as_of", "let_bad_batch_through"] if name == "ingest_events" else ["as_of"])


def test_events_come_in_every_hour_models_are_trained_every_day_and_conf_says_when(bag, tmp_path):
    scheduled = {name: (dag["cron"], dag["paused"]) for name, dag in bag["dags"].items() if dag["cron"]}
    assert scheduled == {
        "ingest_events": ("5 * * * *", None),
        "train_ad_ctr": ("30 4 * * *", None),
        "maintain_tables": ("30 3 * * *", False),
    }
    assert bag["dags"]["maintain_tables"]["limits"] == [1, 1, False]
    overlay = tmp_path / "conf.toml"
    overlay.write_text('[ingest]\nschedule = ""\n[retention]\nschedule = ""\n[training]\nschedule = "0 6 * * 1"\n')
    others = loaded_bag(tmp_path, CLICKLAKE_CONF=str(overlay))["dags"]
    assert {name: dag["cron"] for name, dag in others.items() if dag["cron"]} == {"train_ad_ctr": "0 6 * * 1"}


def test_what_a_person_types_never_becomes_part_of_a_command(bag):
    commands = {name: command for dag in bag["dags"].values() for name, command in dag["commands"].items()}
    assert len(commands) == 25
    assert all("{" not in command and ' --as-of "$AS_OF"' in command for command in commands.values())
    assert [name for name, command in commands.items() if "$SWITCH" in command] == ["refine_events"]


def test_dag_files_are_wiring_only():
    for path in (ROOT / "dags").glob("*.py"):
        if path.name != "jobs.py":
            assert len(path.read_text().splitlines()) <= 40, path

"""The client of Airflow's REST API; its calls of a real Airflow are in tests/end_to_end."""

from cli.airflow import upstream_first


def test_tasks_are_listed_after_what_they_wait_for() -> None:
    graph = {"promote": [], "train": ["evaluate"], "evaluate": ["promote"]}
    assert upstream_first(graph) == ["train", "evaluate", "promote"]


def test_a_task_that_nothing_follows_is_listed_as_well() -> None:
    assert upstream_first({"alone": []}) == ["alone"]

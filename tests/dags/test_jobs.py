import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def said(script, *arguments, home=None, **environ):
    """The last line of a script's output, in a process of its own: importing Airflow changes the root logger."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("CLICKLAKE_")}
    airflow = {"AIRFLOW_HOME": str(home), "AIRFLOW__CORE__LOAD_EXAMPLES": "False"} if home else {}
    command = [sys.executable, "-c", script, *arguments]
    environ = {**clean, "PYTHONPATH": str(ROOT), **airflow, **environ}
    found = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
    return found.stdout.splitlines()[-1]


AS_OF = """
import json, sys
from datetime import datetime
from types import SimpleNamespace
from dags.jobs import AD_IMPRESSIONS, COUNT_TILES, LABELS, as_of
class Events(list):
    "What Airflow gives of an asset's events, (made at, as_of told or none), the newest last."
    before = lambda self, at: Events(event for event in self if event[0] < at.isoformat())
    ascending = lambda self, is_so: self if is_so else Events(self[::-1])
    limit = lambda self, most: [SimpleNamespace(extra={"as_of": text} if text else {}) for _, text in self[:most]]
def of(typed, logical_date, *told, inlets=None):
    told = [SimpleNamespace(extra={"as_of": text}) for text in told]
    run = SimpleNamespace(
        run_after=datetime.fromisoformat("2026-03-01T12:59:59+00:00"),
        logical_date=datetime.fromisoformat(logical_date) if logical_date else None,
    )
    inlets = {{"tiles": COUNT_TILES, "labels": LABELS}[name]: Events(each) for name, each in (inlets or {}).items()}
    return as_of({"as_of": typed or None}, {AD_IMPRESSIONS: told}, run, inlets)
print(json.dumps([of(*case, **named) for case, named in json.loads(sys.argv[1])]))
"""


STATED = {"CLICKLAKE_CONF": "conf/test.toml"}


def as_ofs(*cases, **environ):
    """The as_of of each run (typed, logical date, as_ofs told by its triggers), due on 2026-03-01 at 12:59:59."""
    return json.loads(said(AS_OF, json.dumps([[case, {}] for case in cases]), **environ))


def reached(typed, **inlets):
    """The as_of of a run by hand, due on 2026-03-01 at 12:59:59, of tasks with these inlets."""
    return json.loads(said(AS_OF, json.dumps([[[typed, ""], {"inlets": inlets}]])))[0]


EARLY, NOON, LATE = "2026-03-01T09:10:00+00:00", "2026-03-01T12:10:00+00:00", "2026-03-01T13:10:00+00:00"
TOLD_EARLY, TOLD_NOON, TOLD_LATE = [EARLY, "2026-03-01T09:00:00Z"], [NOON, "2026-03-01T12:00:00Z"], [LATE, "later"]


def test_a_run_with_inlets_is_as_of_what_all_of_them_had_reached_when_it_was_due():
    assert reached("", tiles=[TOLD_EARLY, TOLD_NOON, TOLD_LATE], labels=[TOLD_EARLY]) == "2026-03-01T09:00:00Z"
    assert reached("", tiles=[TOLD_EARLY, TOLD_NOON], labels=[TOLD_EARLY, TOLD_NOON]) == "2026-03-01T12:00:00Z"
    assert reached("2026-02-01T09:00:00Z", tiles=[TOLD_NOON], labels=[TOLD_NOON]) == "2026-02-01T09:00:00Z"


def test_without_a_word_of_one_of_them_it_is_the_clocks_last_hour():
    assert reached("", tiles=[TOLD_NOON], labels=[]) == "2026-03-01T12:00:00.000000Z"
    assert reached("", tiles=[TOLD_NOON], labels=[[EARLY, ""]]) == "2026-03-01T12:00:00.000000Z"


def test_as_of_is_what_was_typed_else_the_newest_that_the_trigger_told_else_the_clocks_last_hour():
    told = ["2019-11-30T22:00:00Z", "2019-11-30T23:00:00Z", "2019-11-30T23:30:00+01:00"]
    assert as_ofs(["2019-11-29T01:00:00Z", "", *told], ["", "", *told], ["", ""], **STATED) == [
        "2019-11-29T01:00:00Z",
        "2019-11-30T23:00:00Z",
        "2019-11-30T23:00:00.000000Z",
    ]


def test_under_a_stated_clock_a_backfill_reaches_up_to_it_and_a_scheduled_run_means_it():
    assert as_ofs(["", "2019-11-26T03:05:00+00:00"], ["", "2026-03-01T12:05:00+00:00"], **STATED) == [
        "2019-11-26T03:00:00.000000Z",
        "2019-11-30T23:00:00.000000Z",
    ]


def test_with_the_real_clock_it_is_the_hour_that_a_run_stands_for_else_the_one_before_it_was_due():
    logical_dates = ["", "2026-02-27T03:05:00+00:00", "2026-03-01T13:05:00+00:00"]
    assert as_ofs(*[["", date] for date in logical_dates]) == [
        "2026-03-01T12:00:00.000000Z",
        "2026-02-27T03:00:00.000000Z",
        "2026-03-01T12:00:00.000000Z",
    ]


TELLING = """
import json, sys
from types import SimpleNamespace
from dags.jobs import AD_IMPRESSIONS, job
def told(run_type):
    event = SimpleNamespace(extra={})
    run = SimpleNamespace(run_type=run_type)
    context = {"params": {"as_of": "2019-11-29T01:00:00Z"}, "dag_run": run, "outlet_events": {AD_IMPRESSIONS: event}}
    job("a.b", AD_IMPRESSIONS)._post_execute_hook(context, None)
    return event.extra
print(json.dumps([told(run_type) for run_type in ("manual", "scheduled", "backfill")]))
"""


def test_a_run_tells_its_as_of_to_what_follows_but_a_backfill_sets_nothing_back(tmp_path):
    told = {"as_of": "2019-11-29T01:00:00Z"}
    assert json.loads(said(TELLING, home=tmp_path)) == [told, told, {}]


@pytest.fixture(scope="module")
def pattern():
    return said("from dags.jobs import AS_OF; print(AS_OF.schema['pattern'])")


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
def test_an_as_of_is_a_full_hour_that_states_its_zone(pattern, text, is_accepted):
    assert bool(re.search(pattern, text)) is is_accepted


SWITCH = """
from airflow.dag_processing.dagbag import DagBag
task = DagBag("dags").dags["ingest_events"].get_task("refine_events")
switch = task.env["SWITCH"]
print([task.render_template(switch, {"params": {"let_bad_batch_through": answer}}) for answer in (True, False)])
"""


def test_a_bad_batch_is_let_through_only_when_the_person_who_triggers_says_so(tmp_path):
    assert said(SWITCH, home=tmp_path) == "['--let-bad-batch-through', '']"


FIRST_RUN = """
from airflow._shared.timezones.timezone import utcnow
from airflow.dag_processing.dagbag import DagBag
from airflow.serialization.serialized_objects import DagSerialization
from airflow.timetables.base import TimeRestriction
dag = DagSerialization.from_dict(DagSerialization.to_dict(DagBag("dags").dags["maintain_tables"]))
nothing_ran = TimeRestriction(earliest=None, latest=None, catchup=False)
first = dag.timetable.next_dagrun_info(last_automated_data_interval=None, restriction=nothing_ran)
print(first.run_after > utcnow())
"""


def test_a_scheduled_dag_that_never_ran_does_not_make_up_for_a_time_that_has_passed(tmp_path):
    """Each minute: a moment ago, whenever the test runs, so that what Airflow does by default would show."""
    overlay = tmp_path / "conf.toml"
    overlay.write_text('[retention]\nschedule = "* * * * *"\n')
    assert said(FIRST_RUN, home=tmp_path, CLICKLAKE_CONF=str(overlay)) == "True"

"""Locks of real files, between threads and processes; the end of a session, on the run's Spark server."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from spark_jobs import locks
from spark_jobs.locks import LockError, TableLock, end_session

HOLDER = """
import sys, time
from pathlib import Path
from spark_jobs.locks import TableLock
lock = TableLock(Path(sys.argv[1]), "clicks")
lock.hold("a-session")
print("held", flush=True)
time.sleep(600)
"""

CLIENT = """
import sys
from pyspark.sql import SparkSession
session = SparkSession.builder.remote(sys.argv[1]).create()
print(session.session_id, flush=True)
told = []
def tell(inflight_tasks, **_):
    if inflight_tasks and not told:
        told.append(print("running", flush=True))
session.registerProgressHandler(tell)
try:
    session.range(10**15).selectExpr("sum(id % 7)").collect()
except Exception as error:
    print("ended:", "CANCELED" in str(error) or "CLOSED" in str(error), flush=True)
"""


def test_a_holder_that_came_to_its_end_leaves_nothing_to_the_next(tmp_path):
    lock = TableLock(tmp_path, "clicks")
    lock.hold("a-session")
    lock.release(is_done=True)
    after = TableLock(tmp_path, "clicks")
    assert after.unfinished == ""
    after.release(is_done=True)


def test_a_holder_that_did_not_come_to_its_end_leaves_its_session_to_whoever_does(tmp_path):
    lock = TableLock(tmp_path, "clicks")
    lock.hold("a-session")
    lock.release(is_done=False)
    for _ in range(2):
        after = TableLock(tmp_path, "clicks")
        assert after.unfinished == "a-session"
        after.release(is_done=False)
    TableLock(tmp_path, "clicks").release(is_done=True)
    last = TableLock(tmp_path, "clicks")
    assert last.unfinished == ""
    last.release(is_done=True)


def test_a_longer_session_before_leaves_nothing_behind_a_shorter_one(tmp_path):
    for session in ("a-session-of-a-long-name", "b"):
        lock = TableLock(tmp_path, "clicks")
        lock.hold(session)
        lock.release(is_done=False)
    last = TableLock(tmp_path, "clicks")
    assert last.unfinished == "b"
    last.release(is_done=True)


def test_a_killed_process_lets_go_and_is_known_by_its_session(tmp_path):
    command = [sys.executable, "-c", HOLDER, str(tmp_path)]
    with subprocess.Popen(command, cwd=Path(__file__).parents[2], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == b"held\n"
        holder.kill()
    lock = TableLock(tmp_path, "clicks")
    assert lock.unfinished == "a-session"
    lock.release(is_done=True)


def test_a_second_job_says_that_it_waits_and_goes_on_when_the_first_lets_go(tmp_path, monkeypatch):
    is_told, seen = threading.Event(), []
    monkeypatch.setattr(locks, "print", lambda words, flush: (seen.append(words), is_told.set()), raising=False)
    first = TableLock(tmp_path, "clicks")
    second = threading.Thread(target=lambda: TableLock(tmp_path, "clicks").release(is_done=True))
    second.start()
    assert is_told.wait(20)
    assert second.is_alive()
    first.release(is_done=True)
    second.join(20)
    assert not second.is_alive()
    assert seen == ["waiting for the job that writes clicks"]


def test_a_job_that_waited_too_long_says_for_what(tmp_path, monkeypatch):
    monkeypatch.setattr(locks, "WAIT_SECONDS", -1)
    first = TableLock(tmp_path, "clicks")
    with pytest.raises(LockError, match="another job has been writing clicks for -1 s"):
        TableLock(tmp_path, "clicks")
    first.release(is_done=True)


def test_locks_of_two_tables_do_not_keep_each_other_waiting(tmp_path):
    held = [TableLock(tmp_path, name) for name in ("clicks", "ads")]
    for lock in held:
        lock.release(is_done=True)


@pytest.mark.spark
def test_a_session_is_ended_with_what_runs_in_it_and_one_that_is_gone_is_none(spark_settings):
    remote = spark_settings.spark_remote
    with subprocess.Popen([sys.executable, "-c", CLIENT, remote], stdout=subprocess.PIPE, text=True) as client:
        assert client.stdout is not None
        session_id = client.stdout.readline().strip()
        assert client.stdout.readline() == "running\n"
        end_session(remote, session_id)
        assert client.stdout.readline() == "ended: True\n"
    end_session(remote, session_id)

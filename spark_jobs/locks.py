"""One writer at a time a table, and no word from a dead one: a lock that names the Spark session of its holder."""

import fcntl
import os
import time
from pathlib import Path

from pyspark.errors.exceptions.connect import SparkConnectException
from pyspark.sql.connect.client import SparkConnectClient

from data_contracts.disk import sync

WAIT_SECONDS = 900
END_SECONDS = 120
NOT_YET_ENDED = "is not within statuses"  # what a server says that is asked to close what it has just begun to end


class LockError(RuntimeError):
    """A table that another job does not let go of."""


class TableLock:
    """The lock of one table, held until `release`. `unfinished` is the session of a holder that did not reach its end.

    A client that is killed leaves its statement running in the server. So a lock that is not released in order keeps
    the session's id, on disk, and who takes the lock next ends that session before it does anything.
    """

    def __init__(self, folder: Path, table_name: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._file = os.open(folder / table_name, os.O_RDWR | os.O_CREAT, 0o640)
        sync(folder)
        self._lock(table_name)
        self.unfinished = os.read(self._file, 100).decode().partition("\n")[0]

    def _lock(self, table_name: str) -> None:
        deadline = time.monotonic() + WAIT_SECONDS
        is_told = False
        while True:
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise LockError(f"another job has been writing {table_name} for {WAIT_SECONDS} s") from None
            if not is_told:
                print(f"waiting for the job that writes {table_name}", flush=True)
            is_told = True
            time.sleep(0.2)

    def hold(self, session_id: str) -> None:
        """Note, on disk, who holds the lock."""
        os.pwrite(self._file, f"{session_id}\n".encode(), 0)
        os.fsync(self._file)

    def release(self, is_done: bool) -> None:
        """Let go; what is not done is left for the next holder to end."""
        if is_done:
            os.ftruncate(self._file, 0)
            os.fsync(self._file)
        os.close(self._file)


def end_session(spark_remote: str, session_id: str) -> None:
    """Ends what runs in another client's session, and the session; LockError when it does not end in time.

    It asks as a bare client: a session made here would become the job's own default.
    """
    client = SparkConnectClient(f"{spark_remote}/;session_id={session_id}")
    deadline = time.monotonic() + END_SECONDS
    try:
        while not _has_ended(client):
            if time.monotonic() > deadline:
                raise LockError(f"the statement of session {session_id} does not end; restart Spark")
            time.sleep(0.2)
    finally:
        client.close()


def _has_ended(client: SparkConnectClient) -> bool:
    """Interrupts what runs; where nothing does, the session is closed."""
    try:
        if client.interrupt_all():
            return False
        client.release_session()
    except SparkConnectException as error:
        if "SESSION_CLOSED" not in str(error) and NOT_YET_ENDED not in str(error):
            raise
        return "SESSION_CLOSED" in str(error)
    return True

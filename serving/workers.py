"""Several workers behind one port: each a process with an event loop, models, counts and landing segments of its own.

The parent holds the port, starts the workers and starts one anew that has ended or does not answer any more; what it
dies of, they end by themselves.
"""

import multiprocessing
import os
import shutil
import signal
import threading
from pathlib import Path

import uvicorn
from uvicorn.supervisors import Multiprocess

from data_contracts.settings import Settings, load
from serving.application import Application
from serving.garbage import collect_seldom
from serving.json_log import begin_log
from serving.listening import listening

METRICS_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
FACTORY = "serving.workers:worker_application"


def run_workers(config: uvicorn.Config, settings: Settings) -> None:
    """Until SIGTERM or SIGINT. `config` names FACTORY as its application."""
    folder = settings.home / "serving" / "metrics"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    os.environ[METRICS_FOLDER] = str(folder)
    Multiprocess(config, listening(config)).run()


def worker_application() -> Application:
    """What a worker runs."""
    begin_log()
    collect_seldom()
    _forget_dead_workers(Path(os.environ[METRICS_FOLDER]))
    threading.Thread(target=_end_with_parent, name="parent-watch", daemon=True).start()
    return Application(load())


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)


def _forget_dead_workers(folder: Path) -> None:
    """What they counted stays; what was true of them then is not any more."""
    for file in folder.glob("gauge_live*_*.db"):
        pid = file.stem.rpartition("_")[2]
        if not Path("/proc", pid).exists():
            file.unlink(missing_ok=True)

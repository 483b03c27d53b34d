"""Starts and stops the whole platform: either all of it is healthy, or nothing of it is left running."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path

import psutil

from cli.airflow_home import migrate_airflow, write_airflow_home
from cli.alone import alone
from cli.errors import CommandError
from cli.health import Condition, condition
from cli.orphans import end, still_there, strays, sweep
from cli.ports import require_free_ports
from cli.preflight import require_disk, require_java, require_plain_path
from cli.services import Service, services
from cli.spark_server import clear_scratch, write_spark_properties
from cli.supervisord import UP, Supervisord, forget, is_of, log_path, running, spawn
from data_contracts.settings import Settings

POLL_SECONDS = 0.25
LOG_LINES = 15

Watch = Callable[[Service, str, float], None]
"""Told of a service, its state (starting, healthy, failed, stopping) and the seconds since the start began."""


def start(settings: Settings, watch: Watch) -> dict[str, float]:
    """Starts what does not run yet and waits until all is healthy; the start-up seconds of what was started.

    Raises CommandError when the machine lacks something or a service fails; what this call started is stopped again.
    """
    with _alone(settings.home):
        supervisord = running(settings.home)
        if supervisord and not is_of(settings):
            raise CommandError(
                "the services were started with other settings or by another version: run `clicklake stop` first"
            )
        _require_machine(settings)
        end(strays(settings.home, supervisord.pid() if supervisord else None))
        missing = _not_up(settings, supervisord)
        require_free_ports(settings.services.host, missing)
        if any(service.name == "spark" for service in missing):
            clear_scratch(settings)
        _write_files(settings)
        started, began = list[Service](), time.monotonic()
        try:
            supervisord = supervisord or spawn(settings)
            for service in missing:
                if service.name.startswith("airflow"):
                    migrate_airflow(settings)
                supervisord.start(service.name)
                started.append(service)
            seconds = _all_healthy(settings, supervisord, watch, began)
            return {service.name: seconds[service.name] for service in started}
        except BaseException:
            for service in started:
                watch(service, "stopping", time.monotonic() - began)
            _undo(settings, started)
            raise


def stop(settings: Settings) -> bool:
    """Stops everything, the scheduler first so that no task is started meanwhile; whether anything ran."""
    with _alone(settings.home):
        return _stop(settings)


def _stop(settings: Settings) -> bool:
    home, supervisord = settings.home, running(settings.home)
    if supervisord:
        program = psutil.Process(supervisord.pid())
        supervisord.stop("airflow-scheduler")
        supervisord.shutdown()
        still_there([program], max(service.stop_seconds for service in services(settings)) + 10)
    # Tasks and their jobs have process groups of their own, which supervisord does not know.
    swept = sweep(home)
    forget(home)
    return bool(supervisord) or swept > 0


def _require_machine(settings: Settings) -> None:
    require_plain_path(settings.home)
    require_java()
    require_disk(settings.home, settings.services.least_free_disk_gib)


def _not_up(settings: Settings, supervisord: Supervisord | None) -> list[Service]:
    programs = supervisord.programs() if supervisord else {}
    up = {name for name, program in programs.items() if program["statename"] in UP}
    return [service for service in services(settings) if service.name not in up]


def _write_files(settings: Settings) -> None:
    for folder in (settings.home / "logs", *(service.folder for service in services(settings))):
        folder.mkdir(parents=True, exist_ok=True)
    write_spark_properties(settings)
    write_airflow_home(settings)


def _all_healthy(settings: Settings, supervisord: Supervisord, watch: Watch, began: float) -> dict[str, float]:
    """Waits until every service is healthy, also those that were up before, and returns the seconds each took."""
    seconds, waiting = dict[str, float](), list(services(settings))
    patience = settings.services.start_timeout_seconds
    asked: dict[str, Future[Condition]] = {}
    with ThreadPoolExecutor(len(waiting)) as askers:
        while waiting:
            programs, passed = supervisord.programs(), time.monotonic() - began
            for service in tuple(waiting):
                if service.name not in asked:
                    asked[service.name] = askers.submit(condition, service, programs[service.name])
                healthy = asked[service.name].done() and asked.pop(service.name).result().healthy
                failed = programs[service.name]["statename"] == "FATAL" or passed > patience
                watch(service, "healthy" if healthy else "failed" if failed else "starting", passed)
                if healthy:
                    waiting.remove(service)
                    seconds[service.name] = passed
                elif failed:
                    raise CommandError(_failure(settings, service, programs[service.name]["spawnerr"], passed))
            time.sleep(POLL_SECONDS if waiting else 0)
    return seconds


def _failure(settings: Settings, service: Service, reason: str, passed: float) -> str:
    log = log_path(settings, service.name)
    lines = log.read_text(errors="replace").splitlines()[-LOG_LINES:] if log.exists() else []
    said = "\n".join(f"    {line}" for line in lines) or "    (it wrote nothing)"
    why = reason or f"it was not healthy after {passed:.0f} s"
    return f"{service.name} did not start: {why}. Its last words ({log}):\n{said}"


def _undo(settings: Settings, started: Sequence[Service]) -> None:
    """Stops what was started, or, when that is everything that runs, supervisord as well."""
    supervisord = running(settings.home)
    before = set(supervisord.programs()) - {service.name for service in started} if supervisord else set()
    if supervisord and any(supervisord.programs()[name]["statename"] in UP for name in before):
        for service in started:
            supervisord.stop(service.name)
    else:
        _stop(settings)


def _alone(home: Path) -> AbstractContextManager[None]:
    return alone(home / "run" / "lock", f"another start or stop of {home} is at work")

"""The supervisord of one home: its configuration, its socket, and what it says of its programs."""

import contextlib
import hashlib
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
import xmlrpc.client
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil
from supervisor.xmlrpc import SupervisorTransport  # type: ignore[import-untyped]

from cli.errors import CommandError
from cli.services import BIN, SERVICE_MARKER, Service, environment, services
from data_contracts.settings import Settings

LONGEST_SOCKET_PATH = 100
UP = frozenset({"STARTING", "RUNNING", "BACKOFF"})


def configuration(settings: Settings, socket: Path) -> str:
    """The text of supervisord.conf; its first line tells apart platforms started with other settings."""
    run, logs = settings.home / "run", settings.home / "logs"
    programs = services(settings)
    sections = [
        f"; settings {hashlib.sha256(repr(settings).encode()).hexdigest()[:16]}",
        _section(
            "supervisord",
            {"logfile": logs / "supervisord.log", "pidfile": run / "supervisord.pid", "childlogdir": logs},
        ),
        _section("unix_http_server", {"file": socket, "chmod": "0700"}),
        _section(
            "rpcinterface:supervisor",
            {"supervisor.rpcinterface_factory": "supervisor.rpcinterface:make_main_rpcinterface"},
        ),
        *(_section(f"program:{service.name}", _program(service, logs)) for service in programs),
    ]
    return "\n".join(sections)


def log_path(settings: Settings, name: str) -> Path:
    return settings.home / "logs" / f"{name}.log"


def socket_path(home: Path) -> Path:
    """run/supervisor.sock, or, where that is longer than a socket's path may be, the one recorded in run/socket."""
    plain, record = home / "run" / "supervisor.sock", home / "run" / "socket"
    if len(str(plain).encode()) <= LONGEST_SOCKET_PATH:
        return plain
    if not (record.exists() and Path(record.read_text()).parent.is_dir()):
        record.write_text(str(Path(tempfile.mkdtemp(prefix="clicklake-")) / "supervisor.sock"))
    return Path(record.read_text())


class Supervisord:
    """What one may ask of a running supervisord; every call may raise OSError once it is gone."""

    def __init__(self, home: Path) -> None:
        self._url = f"unix://{socket_path(home)}"

    def pid(self) -> int:
        return int(self._call("getPID"))

    def programs(self) -> dict[str, Mapping[str, Any]]:
        """Name -> its state (statename, pid, start in epoch seconds, spawnerr, ...)."""
        return {program["name"]: program for program in self._call("getAllProcessInfo")}

    def start(self, name: str) -> None:
        self._call("startProcess", name, False)

    def stop(self, name: str) -> None:
        """Returns when the program is gone; one that does not run is as good as stopped."""
        try:
            self._call("stopProcess", name, True)
        except xmlrpc.client.Fault:
            return

    def shutdown(self) -> None:
        """Stops every program at once, then itself; returns at once."""
        self._call("shutdown")

    def _call(self, name: str, *arguments: object) -> Any:
        with contextlib.closing(SupervisorTransport(serverurl=self._url)) as transport:
            return getattr(xmlrpc.client.ServerProxy("http://localhost", transport=transport).supervisor, name)(
                *arguments
            )


def running(home: Path) -> Supervisord | None:
    """The supervisord of this home, or None when none answers."""
    if not (home / "run").is_dir():
        return None
    supervisord = Supervisord(home)
    try:
        supervisord.pid()
    except (OSError, xmlrpc.client.Error):
        return None
    return supervisord


def spawn(settings: Settings, seconds: float = 15) -> Supervisord:
    """Writes the configuration and starts a supervisord of it, apart from this terminal, with no program yet."""
    run = settings.home / "run"
    path = run / "supervisord.conf"
    path.write_text(configuration(settings, socket_path(settings.home)))
    command = [str(BIN / "supervisord"), "-c", str(path)]
    spawned = subprocess.run(
        command, env=environment(settings), capture_output=True, text=True, check=False, start_new_session=True
    )
    deadline = time.monotonic() + seconds
    while spawned.returncode == 0 and time.monotonic() < deadline:
        if supervisord := running(settings.home):
            return supervisord
        time.sleep(0.05)
    raise CommandError(f"supervisord did not start: {(spawned.stderr or spawned.stdout).strip()[-500:] or 'no answer'}")


def is_of(settings: Settings) -> bool:
    """Whether the configuration on disk was made from these very settings."""
    path = settings.home / "run" / "supervisord.conf"
    return path.exists() and path.read_text() == configuration(settings, socket_path(settings.home))


def forget(home: Path) -> None:
    """Removes what a supervisord that is gone may have left: its socket, what recorded it, its pid."""
    record = home / "run" / "socket"
    if record.exists():
        shutil.rmtree(Path(record.read_text()).parent, ignore_errors=True)
        record.unlink()
    for name in ("supervisor.sock", "supervisord.pid"):
        (home / "run" / name).unlink(missing_ok=True)


def tree_memory(pid: int) -> int:
    """Bytes of a program and all its descendants, what they share counted once (PSS); 0 when it is gone."""
    try:
        parent = psutil.Process(pid)
        return sum(member.memory_full_info().pss for member in (parent, *parent.children(recursive=True)))
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return 0


def _program(service: Service, logs: Path) -> dict[str, object]:
    variables = {SERVICE_MARKER: service.name, **service.environment}
    return {
        "command": shlex.join([sys.executable, "-m", "cli.takeover", service.name, *service.command]),
        "directory": service.folder,
        "environment": ",".join(f'{name}="{value}"' for name, value in variables.items()),
        # cli/supervision.py decides what starts when; supervisord only keeps it alive.
        "autostart": "false",
        "autorestart": "true",
        "startsecs": service.steady_seconds,
        "startretries": 2,
        "stopsignal": "TERM",
        "stopwaitsecs": service.stop_seconds,
        "stopasgroup": "true",
        "killasgroup": "true",
        "redirect_stderr": "true",
        "stdout_logfile": logs / f"{service.name}.log",
        "stdout_logfile_maxbytes": "10MB",
        "stdout_logfile_backups": 2,
    }


def _section(name: str, options: Mapping[str, object]) -> str:
    return "\n".join([f"[{name}]", *(f"{key}={value}" for key, value in options.items() if value != "")]) + "\n"

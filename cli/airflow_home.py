"""Airflow's home: its configuration with the secrets generated once, its login and its migrated database."""

import base64
import configparser
import json
import os
import secrets
import subprocess
from importlib.metadata import version
from pathlib import Path

from cli.errors import CommandError
from cli.jars import ROOT
from cli.services import BIN, environment
from data_contracts.settings import Settings

LOGIN = "airflow_login.json"


def login(settings: Settings) -> str:
    """The words with which a person is told how to log in."""
    return f"login {settings.services.airflow_user}, password {airflow_password(settings)}"


def airflow_password(settings: Settings) -> str:
    """The password of settings.services.airflow_user, generated at the first start."""
    passwords = json.loads((settings.home / "secrets" / LOGIN).read_text())
    return str(passwords[settings.services.airflow_user])


def write_airflow_home(settings: Settings) -> None:
    """Writes airflow.cfg (mode 0600: it holds the secrets) and the file with the login, both lasting."""
    home, folder = settings.home / "airflow", settings.home / "secrets"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    home.mkdir(parents=True, exist_ok=True)
    passwords = folder / LOGIN
    if not passwords.exists() or settings.services.airflow_user not in json.loads(passwords.read_text()):
        _write_private(passwords, json.dumps({settings.services.airflow_user: secrets.token_urlsafe(12)}))
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_dict(airflow_configuration(settings, folder))
    with open(_private(home / "airflow.cfg"), "w") as file:
        parser.write(file)


def airflow_configuration(settings: Settings, folder: Path) -> dict[str, dict[str, str]]:
    """What differs from Airflow's own defaults; the secrets come from files of `folder`."""
    services, home = settings.services, settings.home / "airflow"
    sections: dict[str, dict[str, object]] = {
        "core": {
            "dags_folder": ROOT / "dags",
            "load_examples": False,
            "executor": "LocalExecutor",
            "parallelism": 4,
            "fernet_key": _secret(folder / "airflow_fernet.key"),
            "simple_auth_manager_users": f"{services.airflow_user}:admin",
            "simple_auth_manager_passwords_file": folder / LOGIN,
            "execution_api_server_url": f"{settings.airflow_url}/execution/",
        },
        "database": {"sql_alchemy_conn": f"sqlite:///{home / 'airflow.db'}"},
        "api": {
            "host": services.host,
            "port": services.airflow_port,
            "base_url": settings.airflow_url,
            "secret_key": _secret(folder / "airflow_api.key"),
        },
        "api_auth": {"jwt_secret": _secret(folder / "airflow_jwt.key")},
        # The gap before each task: 2.7 s instead of 7.3 s, for a tenth of a core when idle.
        "scheduler": {"scheduler_idle_sleep_time": 0.3},
        "workers": {"min_heartbeat_interval": 1},
        "dag_processor": {"min_file_process_interval": 300, "parsing_processes": 1},
    }
    return {section: {name: str(value) for name, value in options.items()} for section, options in sections.items()}


def migrate_airflow(settings: Settings) -> None:
    """Brings the database to the installed version; nothing (instead of 4 s) when it is there already."""
    home = settings.home / "airflow"
    stamp, wanted = home / "migrated", version("apache-airflow")
    if (home / "airflow.db").exists() and stamp.exists() and stamp.read_text() == wanted:
        return
    log = settings.home / "logs" / "airflow-migrate.log"
    with log.open("w") as output:
        command = [str(BIN / "airflow"), "db", "migrate"]
        migrated = subprocess.run(command, env=environment(settings), stdout=output, stderr=output, check=False)
    if migrated.returncode != 0:
        raise CommandError(f"airflow db migrate failed: {log.read_text().strip().splitlines()[-1:]}; all of it: {log}")
    stamp.write_text(wanted)


def _secret(path: Path) -> str:
    """32 random bytes as URL-safe base64 (what Fernet asks for), written once with mode 0600."""
    if not path.exists():
        _write_private(path, base64.urlsafe_b64encode(secrets.token_bytes(32)).decode())
    return path.read_text()


def _write_private(path: Path, text: str) -> None:
    with open(_private(path), "w") as file:
        file.write(text)


def _private(path: Path) -> int:
    """A descriptor of the emptied file, for its owner only from the first byte on."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.fchmod(descriptor, 0o600)
    return descriptor

"""Airflow's configuration and the secrets in it."""

import configparser
import stat
from pathlib import Path

from cli.airflow_home import airflow_password, login, write_airflow_home
from data_contracts.settings import Settings


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_what_holds_a_secret_is_for_its_owner_only(settings: Settings) -> None:
    write_airflow_home(settings)
    secrets = settings.home / "secrets"
    assert mode(secrets) == 0o700
    assert {path.name: mode(path) for path in secrets.iterdir()} == {
        "airflow_api.key": 0o600,
        "airflow_fernet.key": 0o600,
        "airflow_jwt.key": 0o600,
        "airflow_login.json": 0o600,
    }
    assert mode(settings.home / "airflow" / "airflow.cfg") == 0o600


def test_secrets_outlive_a_restart_and_differ_between_homes(settings: Settings, tmp_path: Path) -> None:
    write_airflow_home(settings)
    first, password = (settings.home / "airflow" / "airflow.cfg").read_text(), airflow_password(settings)
    write_airflow_home(settings)
    assert (settings.home / "airflow" / "airflow.cfg").read_text() == first
    assert airflow_password(settings) == password
    assert len(password) >= 16
    assert password not in first
    assert login(settings) == f"login admin, password {password}"


def test_airflow_listens_and_calls_itself_where_the_settings_say(settings: Settings) -> None:
    write_airflow_home(settings)
    parser = configparser.RawConfigParser()
    parser.read(settings.home / "airflow" / "airflow.cfg")
    assert parser["api"]["host"] == "127.0.0.1"
    assert parser["api"]["port"] == "28080"
    assert parser["core"]["execution_api_server_url"] == "http://127.0.0.1:28080/execution/"
    assert parser["core"]["load_examples"] == "False"
    assert parser["database"]["sql_alchemy_conn"] == f"sqlite:///{settings.home}/airflow/airflow.db"

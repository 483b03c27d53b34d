"""supervisord's configuration, and a real supervisord of it."""

import configparser
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.orphans import sweep
from cli.services import services
from cli.supervisord import configuration, forget, is_of, running, socket_path, spawn
from data_contracts.settings import Settings, load


@pytest.fixture
def home(settings: Settings) -> Path:
    for folder in ("run", "logs", *(service.folder for service in services(settings))):
        (settings.home / folder).mkdir(parents=True, exist_ok=True)
    return settings.home


@pytest.fixture
def cleaned(home: Path) -> Iterator[None]:
    yield
    sweep(home)
    forget(home)


def test_each_service_is_a_program_in_its_folder_that_is_restarted_with_its_whole_group(settings: Settings) -> None:
    parser = configparser.RawConfigParser()
    parser.read_string(configuration(settings, Path("/run/s.sock")))
    assert parser.sections()[3:] == [f"program:{service.name}" for service in services(settings)]
    spark = parser["program:spark"]
    assert spark["directory"] == str(settings.home / "spark")
    assert spark["startsecs"] == "12"
    for option in ("autorestart", "stopasgroup", "killasgroup"):
        assert spark[option] == "true"
    assert parser["program:airflow-scheduler"]["command"].endswith("airflow scheduler --skip-serve-logs")
    assert parser["unix_http_server"]["file"] == "/run/s.sock"


def test_a_home_too_deep_for_a_socket_gets_one_elsewhere_and_keeps_it(tmp_path: Path) -> None:
    deep = tmp_path / "/".join(["deep" * 6] * 5)
    (deep / "run").mkdir(parents=True)
    path = socket_path(deep)
    assert len(str(path)) <= 100
    assert socket_path(deep) == path
    assert path.parent.stat().st_mode & 0o777 == 0o700
    forget(deep)
    assert not path.parent.exists()


def test_the_usual_socket_is_under_home(home: Path) -> None:
    if len(str(home)) < 80:
        assert socket_path(home) == home / "run" / "supervisor.sock"


def test_other_settings_are_told_from_those_it_was_started_with(settings: Settings, home: Path, tmp_path: Path) -> None:
    (home / "run" / "supervisord.conf").write_text(configuration(settings, socket_path(home)))
    assert is_of(settings)
    overlay = tmp_path / "other.toml"
    overlay.write_text("[serving]\nslate_limit = 7\n")
    assert not is_of(load({"CLICKLAKE_HOME": str(home), "CLICKLAKE_CONF": str(overlay)}))


def test_a_supervisord_answers_until_it_is_shut_down(settings: Settings, home: Path, cleaned: None) -> None:
    assert running(home) is None
    supervisord = spawn(settings)
    assert {program["statename"] for program in supervisord.programs().values()} == {"STOPPED"}
    assert running(home) is not None
    supervisord.shutdown()
    deadline = time.monotonic() + 10
    while running(home) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert running(home) is None

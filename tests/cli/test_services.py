"""The services as values: apart from a neighbour's, and from what a shell holds for other installations."""

from pathlib import Path

from cli.services import MARKER, environment, services
from data_contracts.settings import Settings, load


def settings_at(home: Path, first_port: int) -> Settings:
    home.mkdir(parents=True)
    overlay = home.parent / f"{first_port}.toml"
    keys = ("spark_port", "airflow_port", "mlflow_port", "serving_port")
    overlay.write_text("[services]\n" + "".join(f"{key} = {first_port + n}\n" for n, key in enumerate(keys)))
    return load({"CLICKLAKE_HOME": str(home), "CLICKLAKE_CONF": str(overlay)})


def test_every_service_is_known_by_its_name_port_and_health(settings: Settings) -> None:
    assert [(service.name, service.port, service.health) for service in services(settings)] == [
        ("spark", 25002, "tcp://127.0.0.1:25002"),
        ("mlflow", 25000, "http://127.0.0.1:25000/health"),
        ("serving", 28000, "http://127.0.0.1:28000/health"),
        ("airflow-api", 28080, "http://127.0.0.1:28080/api/v2/monitor/health"),
        ("airflow-scheduler", 0, "http://127.0.0.1:28080/api/v2/monitor/health"),
        ("airflow-dag-processor", 0, "http://127.0.0.1:28080/api/v2/monitor/health"),
    ]


def test_two_platforms_share_no_port_and_no_folder(tmp_path: Path) -> None:
    one, two = services(settings_at(tmp_path / "one", 31060)), services(settings_at(tmp_path / "two", 31070))
    assert {service.port for service in one} & {service.port for service in two} == {0}
    assert all(service.folder.is_relative_to(tmp_path / "one") for service in one)
    assert all(service.folder.is_relative_to(tmp_path / "two") for service in two)


def test_children_do_not_inherit_what_is_meant_for_other_installations(settings: Settings) -> None:
    shell = {
        "PATH": "/usr/bin",
        "AWS_PROFILE": "ads",
        "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
        "MLFLOW_TRACKING_URI": "http://elsewhere",
        "SPARK_REMOTE": "sc://elsewhere",
        "PYTHONPATH": "/elsewhere",
    }
    inherited = environment(settings, shell)
    assert inherited["AWS_PROFILE"] == "ads"
    assert inherited["PATH"].endswith(":/usr/bin")
    assert "elsewhere" not in " ".join(inherited.values())
    assert "AIRFLOW__CORE__EXECUTOR" not in inherited


def test_children_know_home_and_configuration_wherever_they_work(settings: Settings) -> None:
    inherited = environment(settings, {"CLICKLAKE_CONF": "conf/test.toml"})
    assert inherited["CLICKLAKE_HOME"] == inherited[MARKER] == str(settings.home)
    assert inherited["CLICKLAKE_CONF"] == str(Path("conf/test.toml").resolve())

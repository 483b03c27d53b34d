"""The supervised programs as values: what runs, where it listens, and how one knows that it is well."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cli.jars import ROOT
from cli.preflight import NO_COUNTERS
from data_contracts.settings import Settings

BIN = Path(sys.prefix) / "bin"
SPARK_HOME = Path(sys.prefix) / "lib" / "python3.11" / "site-packages" / "pyspark"
# Every child carries it, with the home as its value: stop finds orphans by it, and a person's own shell never has it.
MARKER = "CLICKLAKE_PLATFORM"
# The service that a child belongs to.
SERVICE_MARKER = "CLICKLAKE_SERVICE"
# What a shell may hold for other installations of the same programs and would confuse these.
FOREIGN = ("AIRFLOW_", "MLFLOW_", "PYSPARK_", "SPARK_", "PYTHONPATH", "PYTHONHOME", "SUPERVISOR_")


@dataclass(frozen=True)
class Service:
    """A supervised program.

    `health` is tcp://host:port (well when it accepts) or a URL (well when it answers 200); `heartbeat` names the
    component on Airflow's health page whose beat must be newer than the program itself. `port_key` is the conf key of
    the port it opens, empty when it opens none. `steady_seconds`: what ends earlier counts as a failed start.
    """

    name: str
    command: tuple[str, ...]
    folder: Path
    health: str
    url: str = ""
    port: int = 0
    port_key: str = ""
    heartbeat: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    steady_seconds: int = 3
    stop_seconds: int = 20


def services(settings: Settings) -> tuple[Service, ...]:
    """In the order they are started: the slowest first, what needs Airflow's database last."""
    return (_spark(settings), _mlflow(settings), _serving(settings), *_airflow(settings))


def environment(settings: Settings, environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """What every child inherits: the caller's own, less what is meant for other installations, plus the platform's."""
    inherited = {name: value for name, value in environ.items() if not name.startswith(FOREIGN)}
    overlay = environ.get("CLICKLAKE_CONF")
    return {
        **inherited,
        **({"CLICKLAKE_CONF": str(Path(overlay).resolve())} if overlay else {}),
        "CLICKLAKE_HOME": str(settings.home),
        MARKER: str(settings.home),
        "PATH": f"{BIN}{os.pathsep}{inherited.get('PATH', os.defpath)}",
        "PYTHONPATH": str(ROOT),
        "PYTHONUNBUFFERED": "1",
        # Airflow's parts rename themselves, and would write their names over the environment that MARKER is in.
        "SPT_NOENV": "1",
        "PYSPARK_PYTHON": sys.executable,
        "AIRFLOW_HOME": str(settings.home / "airflow"),
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
        "GX_ANALYTICS_ENABLED": "false",
        "GIT_PYTHON_REFRESH": "quiet",
    }


def _spark(settings: Settings) -> Service:
    host, port = settings.services.host, settings.services.spark_port
    folder = settings.home / "spark"
    return Service(
        name="spark",
        command=(
            str(SPARK_HOME / "bin" / "spark-submit"),
            *("--class", "org.apache.spark.sql.connect.service.SparkConnectServer"),
            *("--properties-file", str(folder / "spark.properties"), "spark-internal"),
        ),
        folder=folder,
        health=f"tcp://{host}:{port}",
        url=settings.spark_remote,
        port=port,
        port_key="services.spark_port",
        # SPARK_REMOTE must never reach the server: it takes it for a contradiction of its own master.
        environment={"SPARK_HOME": str(SPARK_HOME), "SPARK_LOCAL_IP": host, "SPARK_LAUNCHER_OPTS": NO_COUNTERS},
        steady_seconds=12,
    )


def _mlflow(settings: Settings) -> Service:
    host, port = settings.services.host, settings.services.mlflow_port
    folder = settings.home / "mlflow"
    return Service(
        name="mlflow",
        command=(
            *(str(BIN / "mlflow"), "server", "--host", host, "--port", str(port), "--workers", "1"),
            *("--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}"),
            *("--artifacts-destination", str(folder / "artifacts")),
        ),
        folder=folder,
        health=f"{settings.mlflow_url}/health",
        url=settings.mlflow_url,
        port=port,
        port_key="services.mlflow_port",
        environment={"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
    )


def _serving(settings: Settings) -> Service:
    return Service(
        name="serving",
        command=(sys.executable, "-m", "serving"),
        folder=settings.home / "serving",
        health=f"{settings.serving_url}/health",
        url=settings.serving_url,
        port=settings.services.serving_port,
        port_key="services.serving_port",
    )


def _airflow(settings: Settings) -> tuple[Service, ...]:
    """Its parts one by one: `airflow standalone` dies at once when told to stop and leaves its children behind."""
    airflow, folder = str(BIN / "airflow"), settings.home / "airflow"
    health = f"{settings.airflow_url}/api/v2/monitor/health"
    return (
        Service(
            name="airflow-api",
            command=(airflow, "api-server"),
            folder=folder,
            health=health,
            url=settings.airflow_url,
            port=settings.services.airflow_port,
            port_key="services.airflow_port",
        ),
        Service(
            name="airflow-scheduler",
            # Its log server would listen on every interface; logs are read through the API instead.
            command=(airflow, "scheduler", "--skip-serve-logs"),
            folder=folder,
            health=health,
            heartbeat="scheduler",
            # It sometimes hangs on stop until it is killed.
            stop_seconds=8,
        ),
        Service(
            name="airflow-dag-processor",
            command=(airflow, "dag-processor"),
            folder=folder,
            health=health,
            heartbeat="dag_processor",
        ),
    )

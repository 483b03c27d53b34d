"""Runs serving: `python -m serving`. One event loop a worker; one worker is this process itself."""

import contextlib
import os
import signal
import sys

import uvicorn

from data_contracts.pseudonym import load_key
from data_contracts.settings import ConfigurationError, Settings, load
from serving.application import Application
from serving.garbage import collect_seldom
from serving.json_log import begin_log
from serving.listening import listening
from serving.timed import TimedProtocol
from serving.workers import FACTORY, run_workers

QUIET_MLFLOW = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false"}


def main() -> None:
    """Listens until SIGTERM or SIGINT; then finishes what is in flight and seals the open segments."""
    begin_log()
    collect_seldom()
    # uvicorn raises the signal again once it has shut down in order: then the process is to end well, not to be killed.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    for name, value in QUIET_MLFLOW.items():
        os.environ.setdefault(name, value)
    try:
        settings = load()
        load_key(settings.pseudonym_key)
        if settings.serving.workers > 1:
            run_workers(server_config(FACTORY, settings), settings)
            return
        application = Application(settings)
    except (ConfigurationError, ValueError, OSError) as error:
        sys.exit(str(error))
    config = server_config(application, settings)
    server = uvicorn.Server(config)
    with contextlib.suppress(KeyboardInterrupt):
        server.run(listening(config))
    if not server.started:
        sys.exit(3)


def server_config(application: Application | str, settings: Settings) -> uvicorn.Config:
    """For an application, or for the factory of one."""
    return uvicorn.Config(
        application,
        factory=isinstance(application, str),
        workers=settings.serving.workers,
        host=settings.services.host,
        port=settings.services.serving_port,
        loop="uvloop",
        http=TimedProtocol,
        ws="none",
        lifespan="on",
        access_log=False,
        proxy_headers=False,  # with them uvicorn would wrap the application, whose json_routes TimedProtocol asks for
        log_config=None,
        server_header=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=1,
    )


if __name__ == "__main__":
    main()

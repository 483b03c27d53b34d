"""The way to MLflow: within seconds an answer, or an error of one line."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from mlflow import MlflowClient, set_tracking_uri
from mlflow.exceptions import MlflowException

from data_contracts.settings import Settings

TRACKING_URI = "MLFLOW_TRACKING_URI"
CONNECT_SECONDS = 2.0
PATIENCE = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "15"}
"""MLflow's own patience is minutes of silent retries."""


class RegistryError(RuntimeError):
    """MLflow cannot be reached, or lacks what was asked for; the message is one line."""


@contextmanager
def plain_errors() -> Iterator[None]:
    """Turns what MLflow raises into a RegistryError of one line. Its artifact client raises OSError."""
    try:
        yield
    except (MlflowException, OSError) as error:
        raise RegistryError(f"MLflow: {str(error).splitlines()[0]}") from error


def connect(settings: Settings) -> MlflowClient:
    """A client of the MLflow of `settings`, or of MLFLOW_TRACKING_URI where that is set; the rest of MLflow's API in
    this process then speaks to the same. Raises RegistryError within seconds when no server answers."""
    for name, value in PATIENCE.items():
        os.environ.setdefault(name, value)
    uri = os.environ.get(TRACKING_URI) or settings.mlflow_url
    address = urlsplit(uri)
    if address.scheme in ("http", "https"):
        port = address.port or {"http": 80, "https": 443}[address.scheme]
        try:
            socket.create_connection((address.hostname or "", port), timeout=CONNECT_SECONDS).close()
        except OSError as error:
            raise RegistryError(
                f"MLflow does not answer at {address.hostname}:{port} ({error.strerror or error}); is it running?"
            ) from None
    exported = os.environ.get(TRACKING_URI)
    set_tracking_uri(uri)
    if exported is None:  # MLflow exports the address; the next call would take it for an operator's wish
        os.environ.pop(TRACKING_URI, None)
    return MlflowClient(tracking_uri=uri)

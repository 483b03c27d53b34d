"""What a run ends with: a prediction over HTTP, the champion's numbers, a query over the lake, and where to look."""

import contextlib
import json
import os
import time

import httpx
from rich.console import Console

from cli.airflow_home import login
from cli.errors import CommandError
from cli.models import SHOWN_METRICS
from cli.result_table import show_table
from data_contracts.lake import open_lake
from data_contracts.registry import RegistryError, challenger, champion
from data_contracts.sections import KEYS
from data_contracts.settings import Settings
from simulator.truth import read_market

CTR_BY_VARIANT = """\
SELECT variant, count(*) AS impressions, count(clicked.impression_id) AS clicks, clicks / impressions AS ctr
FROM ad_impressions
LEFT JOIN (SELECT DISTINCT impression_id FROM clicks WHERE clicked) AS clicked USING (impression_id)
GROUP BY variant ORDER BY variant"""
SWAP_SECONDS = 30


def show_outcome(settings: Settings, console: Console) -> None:
    """Prints everything a newcomer wants to see after a run; CommandError when a part of it is not there."""
    version = show_champion(settings, console)
    if version and read_market(settings.home):
        show_truth(settings, console)
    show_prediction(settings, console, version)
    show_query(settings, console)
    show_addresses(settings, console)


def show_champion(settings: Settings, console: Console) -> str | None:
    """Prints the champion's holdout metrics, or why there is no champion; its version."""
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    try:
        found = champion(settings)
        judged = found or challenger(settings)
    except RegistryError as error:
        raise CommandError(str(error)) from None
    if found is None:
        why = judged.verdict.summary if judged and judged.verdict else "no version was judged"
        console.print(f"\n[bold]no champion of {settings.model_name}[/]: the prior CTR is served")
        _indented(console, why)
        return None
    numbers = ", ".join(f"{words} {found.metrics[name]:.4f}" for name, words in SHOWN_METRICS.items())
    console.print(f"\n[bold]champion[/] {found.name} version {found.version}: holdout {numbers}", soft_wrap=True)
    _indented(console, f"{settings.mlflow_url}/#/models/{found.name}/versions/{found.version}")
    _indented(console, f"{settings.mlflow_url}/#/experiments/{found.experiment_id}/runs/{found.run_id}")
    if found.verdict:
        _indented(console, found.verdict.summary)
    return found.version


def show_truth(settings: Settings, console: Console) -> None:
    """Prints how far the champion is from what can be known of the synthetic market."""
    from cli.market_figures import show_market_figures  # loads what trains models

    found = champion(settings)
    if found:
        show_market_figures(settings, console, found)


def show_prediction(settings: Settings, console: Console, version: str | None) -> None:
    """Asks the endpoint for a score of an ad of the lake, by the champion when there is one, and prints both.
    Where serving takes keys, it has none and says how to get one."""
    if settings.serving.access == KEYS:
        console.print("\nPOST /predict takes a key: `clicklake key add --role predict`, docs/serving.md", markup=False)
        return
    with contextlib.closing(open_lake(settings)) as lake:
        newest = lake.sql("SELECT ad_id, position FROM ad_impressions ORDER BY timestamp DESC, impression_id LIMIT 1")
        row = newest.fetchone()
    if row is None:
        raise CommandError("the lake holds no impression, so there is no ad to score: see `clicklake sql`")
    body = {"user_id": "a-visitor", "ad_id": row[0], "features": {"position": row[1]} if row[1] else {}}
    with httpx.Client(base_url=settings.serving_url, timeout=30, trust_env=False) as client:
        _await_version(client, version)
        answer = client.post("/predict", json=body)
    console.print(f"\n[bold]POST {settings.serving_url}/predict[/]")
    _indented(console, json.dumps(body))
    _indented(console, f"{answer.status_code} {answer.text.strip()}")
    if answer.is_error:
        raise CommandError("the endpoint did not score: see `clicklake status` and its log")


def show_query(settings: Settings, console: Console) -> None:
    console.print(f"\n[bold]clicklake sql[/]\n{CTR_BY_VARIANT}")
    with contextlib.closing(open_lake(settings)) as lake:
        show_table(lake.sql(CTR_BY_VARIANT).to_arrow_reader(), console)


def show_addresses(settings: Settings, console: Console) -> None:
    console.print(f"\n  Airflow  {settings.airflow_url}  ({login(settings)})", markup=False)
    console.print(f"  MLflow   {settings.mlflow_url}")
    console.print(f"  scoring  {settings.serving_url}")
    console.print(f"  Spark    {settings.spark_remote}")


def _indented(console: Console, text: str) -> None:
    """One line of its own, however long: what is cut into lines cannot be copied whole."""
    console.print(f"  {text}", markup=False, soft_wrap=True)


def _await_version(client: httpx.Client, version: str | None) -> None:
    """Waits until the endpoint has swapped to the champion; after SWAP_SECONDS the answer says what it has."""
    deadline = time.monotonic() + SWAP_SECONDS
    while version and time.monotonic() < deadline:
        active = client.get("/model/active")
        if active.is_success and str(active.json().get("version")) == version:
            return
        time.sleep(0.3)

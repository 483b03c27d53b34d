"""`clicklake explain`: why a prediction was what it was, for a person."""

import os

from rich.console import Console
from rich.markup import escape

from cli.errors import CommandError
from cli.grid import grid
from data_contracts.landing import instant_text
from data_contracts.registry import RegistryError
from data_contracts.settings import Settings
from ml.explain import Explanation, ExplanationError, explained

SHOWN = ("user_id", "ad_id", "position", "impression_id", "request_id", "experiment", "variant")


def explain(settings: Settings, console: Console, prediction_id: str) -> None:
    """Prints the explanation; CommandError when there is no such prediction or its model cannot be asked."""
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    try:
        with console.status("asking the model again"):
            found = explained(settings, prediction_id)
    except (ExplanationError, RegistryError) as error:
        raise CommandError(str(error)) from None
    _show_prediction(console, found)
    if found.version is None:
        console.print(
            "no model answered: the probability is the smoothed CTR of the counts, since there was no champion, or it"
            " could not answer",
            soft_wrap=True,
        )
        return
    _show_contributions(console, found)
    _show_evidence(console, settings, found)


def _show_prediction(console: Console, found: Explanation) -> None:
    row = found.prediction
    answered = f"version {row['model_version']}" if found.version else "the prior"
    console.print(
        f"[bold]{row['probability']:.6g}[/], given by {answered} at {instant_text(row['predicted_at'])}"
        f" (source: {row['source']})",
        soft_wrap=True,
    )
    told = [f"{name} {row[name]}" for name in SHOWN if row[name] is not None]
    console.print(", ".join(told), markup=False, soft_wrap=True)
    if found.version is not None:
        same = "computed again from the logged inputs it is the same, bit for bit"
        differs = f"COMPUTED AGAIN FROM THE LOGGED INPUTS IT IS {found.probability!r}"
        console.print(same if found.is_reproduced else differs)


def _show_contributions(console: Console, found: Explanation) -> None:
    table = grid("feature", "value", "log-odds", "which", "what it is", numbers=("value", "log-odds"))
    table.add_row("an average row", "", f"{found.base:+.4f}", "", "where the trees start")
    for each in found.contributions:
        table.add_row(each.feature, f"{each.value:g}", f"{each.log_odds:+.4f}", each.words, escape(each.about))
    console.print(table)


def _show_evidence(console: Console, settings: Settings, found: Explanation) -> None:
    row, version = found.prediction, found.version
    assert version is not None
    as_of = instant_text(row["counts_as_of"]) if row["counts_as_of"] else "none"
    console.print(f"counts as of {as_of}; logged as {row['origin']}", soft_wrap=True)
    rests_on = ", ".join(f"{table} {at}" for table, at in sorted(found.data_versions.items()))
    console.print(
        f"trained from {version.tags.get('training_set_id', '?')}, tables at versions: {rests_on}", soft_wrap=True
    )
    if version.verdict:
        console.print(f"decided by: {version.verdict.summary}", markup=False, soft_wrap=True)
    console.print(f"{settings.mlflow_url}/#/models/{version.name}/versions/{version.version}", soft_wrap=True)

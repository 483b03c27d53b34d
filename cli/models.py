"""The registered model's versions as a person sees and moves them."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from cli.errors import CommandError
from cli.grid import grid
from data_contracts import registry
from data_contracts.model_versions import RegisteredVersion
from data_contracts.registry import ApprovalNeededError, RegistryError
from data_contracts.settings import Settings

SHOWN_METRICS = {
    "holdout_log_loss": "log loss",
    "holdout_normalized_entropy": "normalized entropy",
    "holdout_calibration_ratio": "calibration ratio",
    "holdout_auc": "AUC",
}
"""The metrics of a version that a person sees, and what they are called."""
SHOWN_TAGS = (
    "as_of",
    "trained_through",
    "training_set_id",
    "feature_set_hash",
    "join_health",
    "approved_by",
    "rolled_back",
)
SLICES_SHOWN = 20


def show_versions(settings: Settings, console: Console, newest: int) -> None:
    """A line a version, the newest first; CommandError when MLflow does not answer."""
    with _plain():
        found = registry.versions(settings, newest)
    if not found:
        console.print(f"no version of {settings.model_name} yet: the DAG train_ad_ctr registers one")
        return
    table = grid("version", "alias", "as of", "verdict", *SHOWN_METRICS.values(), numbers=SHOWN_METRICS.values())
    for each in found:
        metrics = [f"{each.metrics[name]:.4f}" if name in each.metrics else "" for name in SHOWN_METRICS]
        verdict = each.tags.get("verdict", "none yet")
        aliases = ", ".join(each.aliases) + (" (rolled back)" if registry.ROLLED_BACK in each.tags else "")
        table.add_row(each.version, aliases.strip(), each.tags.get("as_of", ""), verdict, *metrics)
    console.print(table)


def show_version(settings: Settings, console: Console, version: str) -> None:
    """All that is known of a version; CommandError when there is none of that number."""
    with _plain():
        found = registry.version(settings, version)
    console.print(f"[bold]{found.name} version {found.version}[/] {', '.join(found.aliases)}")
    console.print(f"{settings.mlflow_url}/#/models/{found.name}/versions/{found.version}", soft_wrap=True)
    for name in SHOWN_TAGS:
        if name in found.tags:
            console.print(f"{name}: {found.tags[name]}", markup=False, soft_wrap=True)
    for when, words in found.alias_moves.items():
        verb = "is" if words.startswith("no ") else "became"
        console.print(f"{when} {verb} {words}", markup=False, soft_wrap=True)
    for name, words in SHOWN_METRICS.items():
        if name in found.metrics:
            console.print(f"{words} on its holdout: {found.metrics[name]:.4f}")
    if found.verdict is None:
        console.print("no verdict yet: the task `evaluate` reaches one")
        return
    console.print(f"\n[bold]{found.verdict.outcome}[/]")
    for reason in found.verdict.reasons:
        console.print(f"- {reason}", markup=False)
    console.print(_slices(found))


def _slices(found: RegisteredVersion) -> Table:
    """The numbers by slice, those with the most clicks first."""
    numbers = ("rows", "clicks", "calibration ratio", "95 % interval")
    table = grid("slice", *numbers, numbers=numbers)
    rows = found.verdict.slices if found.verdict else ()
    for row in sorted(rows, key=lambda row: (row["column"] != "all", -row["clicks"]))[:SLICES_SHOWN]:
        name = "all" if row["column"] == "all" else f"{row['column']} = {row['value']}"
        ratio, *ends = (_spoken(row[f"calibration_ratio{end}"]) for end in ("", "_low", "_high"))
        table.add_row(escape(name), f"{row['rows']:,}", f"{row['clicks']:,}", ratio, " to ".join(ends))
    return table


def promote(settings: Settings, console: Console, version: str, approved_by: str) -> None:
    """Moves the alias; CommandError with the verdict's words when it may not be moved."""
    with _plain():
        before = registry.champion_version(settings)
        try:
            registry.promote(settings, version, approved_by)
        except ApprovalNeededError as refusal:
            raise CommandError(f"{refusal}; whoever has looked at it adds --approved-by NAME") from None
    if before == version:
        console.print(f"version {version} is the champion already")
        return
    kept = f"; version {before} is kept as previous" if before else ""
    console.print(f"version {version} of {settings.model_name} is the champion now{kept}")


def roll_back(settings: Settings, console: Console, reason: str) -> None:
    """Moves the alias back; CommandError when there is nothing to go back to, or no reason."""
    if not reason.strip():
        raise CommandError("--reason is empty: say why, so that whoever looks next knows")
    with _plain():
        champion, was = registry.roll_back(settings, reason)
    console.print(f"version {champion} of {settings.model_name} is the champion again; version {was} is previous")


def start_canary(settings: Settings, console: Console, version: str, share: float, approved_by: str) -> None:
    """Moves the alias; CommandError with the reason when it may not be moved."""
    with _plain():
        try:
            registry.start_canary(settings, version, share, approved_by)
        except ApprovalNeededError as refusal:
            raise CommandError(f"{refusal}; whoever has looked at it adds --approved-by NAME") from None
    console.print(f"version {version} of {settings.model_name} answers {share:.1%} of users, the champion all others")


def end_canary(settings: Settings, console: Console, reason: str) -> None:
    """CommandError when there is no canary."""
    with _plain():
        ended = registry.end_canary(settings, reason)
    if ended is None:
        raise CommandError(f"{settings.model_name} has no canary")
    console.print(f"version {ended} is the canary no more; the champion answers all users")


def set_shadow(settings: Settings, console: Console, version: str, alias: str) -> None:
    """Gives the alias to a version, or with "" takes it away; CommandError when it is no shadow's, or not given."""
    with _plain():
        if version:
            was = registry.set_shadow(settings, version, alias)
            instead = "" if was in (None, version) else f", in place of version {was}"
            console.print(
                f"version {version} of {settings.model_name} scores beside what others answer, as {alias}{instead}"
            )
            return
        if (was := registry.end_shadow(settings, alias)) is None:
            raise CommandError(f"no version has the alias {alias}")
        console.print(f"version {was} is {alias} no more")


@contextmanager
def _plain() -> Iterator[None]:
    """What the registry cannot do is one line for a person."""
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    try:
        yield
    except RegistryError as error:
        raise CommandError(str(error)) from None


def _spoken(value: float | None) -> str:
    return "unlimited" if value is None else f"{value:.3f}"

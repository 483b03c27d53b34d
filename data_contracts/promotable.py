"""Whether a version may take traffic, by its verdict and what became of it."""

from data_contracts.mlflow_client import RegistryError
from data_contracts.model_versions import RELEASABLE, RegisteredVersion

ROLLED_BACK = "rolled_back"
"""Tag of a version that was taken out of traffic: when and why."""


class NotPromotableError(RegistryError):
    """The version's verdict does not let it become champion; the message says why."""


class ApprovalNeededError(NotPromotableError):
    """The version's verdict lets it become champion once a named person approves."""


def _evaluation(found: RegisteredVersion) -> str:
    """The commands that reach a verdict."""
    asked = f"--as-of {found.tags.get('as_of', 'AS_OF')} --version {found.version}"
    return f"`python -m spark_jobs.build_holdout {asked}`, then `python -m ml.evaluate {asked}`"


def check_promotable(found: RegisteredVersion, incumbent: str | None, approved_by: str) -> None:
    """Raises NotPromotableError, or ApprovalNeededError where a name would do; `incumbent` is the champion of now."""
    who, verdict = f"version {found.version} of {found.name}", found.verdict
    if verdict is None:
        raise NotPromotableError(f"{who} has no verdict; evaluate it first: {_evaluation(found)}")
    against, about = verdict.evidence.get("champion_version"), verdict.evidence.get("challenger_version")
    if about != found.version or against != incumbent:
        raise NotPromotableError(
            f"the verdict on {who} compares version {about} with champion {against or 'none'}, "
            f"but the champion is now {incumbent or 'none'}; evaluate it again: {_evaluation(found)}"
        )
    if verdict.outcome != "promote" and verdict.outcome not in RELEASABLE:
        raise NotPromotableError(f"{who} is not promoted: {verdict.summary}")
    if ROLLED_BACK in found.tags and not approved_by:
        raise ApprovalNeededError(f"{who} is not promoted: it was rolled back at {found.tags[ROLLED_BACK]}")
    if verdict.outcome in RELEASABLE and not approved_by:
        raise ApprovalNeededError(f"{who} is not promoted: {verdict.summary}")

"""Versions of the registered model, and what the gate says of one: an outcome, the reasons, and their numbers."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

CHAMPION, CHALLENGER, PREVIOUS, CANARY, SHADOW = "champion", "challenger", "previous", "canary", "shadow"
"""Aliases; every one that begins with SHADOW is a shadow's."""
VERDICT_FILE = "verdict.json"
ALIAS_MOVE = "alias_move."
"""Begins the name of a tag that says which alias the version was given, and why; the rest of the name is when."""

UPLOAD, UPLOADED_BY, EVALUATION = "upload", "uploaded_by", "evaluation"
"""Tags of a version that was trained elsewhere: which upload it is, whose, and how far its evaluation has come."""


def upload_id(content: bytes, feature_set_hash: str) -> str:
    """SHA-256 of what makes an upload the one it is: the model as XGBoost wrote it, and whose features it takes."""
    return hashlib.sha256(feature_set_hash.encode() + content).hexdigest()


Outcome = Literal["promote", "refuse", "not_comparable", "wait_for_person"]
RELEASABLE: tuple[Outcome, ...] = ("wait_for_person", "not_comparable")
"""Outcomes that a named person may overrule; a refusal is never one."""


@dataclass(frozen=True)
class Verdict:
    """What the gate found: `reasons` in plain words with numbers, the numbers by slice, and what they rest on."""

    outcome: Outcome
    reasons: tuple[str, ...]
    slices: tuple[Mapping[str, Any], ...]
    evidence: Mapping[str, Any]

    @property
    def summary(self) -> str:
        return f"{self.outcome}: {'; '.join(self.reasons)}"

    def as_json(self) -> str:
        return json.dumps(asdict(self), indent=2, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> "Verdict":
        """Raises ValueError on text that is no verdict."""
        return cls.from_content(json.loads(text))

    @classmethod
    def from_content(cls, content: Any) -> "Verdict":
        """From parsed JSON; ValueError when it is no verdict's."""
        if not isinstance(content, dict) or content.get("outcome") not in get_args(Outcome):
            raise ValueError(f"{VERDICT_FILE} states no outcome out of {', '.join(get_args(Outcome))}")
        try:
            return cls(content["outcome"], tuple(content["reasons"]), tuple(content["slices"]), content["evidence"])
        except (KeyError, TypeError) as error:
            raise ValueError(f"{VERDICT_FILE} lacks {error}") from None


@dataclass(frozen=True)
class RegisteredVersion:
    """One version of the registered model; `metrics` and `params` are its run's, `tags`, `aliases` and `registered_at`
    (epoch seconds) the version's."""

    name: str
    version: str
    run_id: str
    tags: Mapping[str, str]
    metrics: Mapping[str, float]
    verdict: Verdict | None
    aliases: tuple[str, ...]
    params: Mapping[str, str]
    registered_at: float = 0.0
    experiment_id: str = ""

    @property
    def alias_moves(self) -> dict[str, str]:
        """Which aliases it was given, each with the reason, by when: 20260131T060000.000000Z."""
        given = sorted(name for name in self.tags if name.startswith(ALIAS_MOVE))
        return {name.removeprefix(ALIAS_MOVE): self.tags[name] for name in given}

    @property
    def uri(self) -> str:
        """What mlflow.pyfunc.load_model takes."""
        return f"models:/{self.name}/{self.version}"

    def as_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "RegisteredVersion":
        """Raises ValueError or TypeError on text that is no version."""
        content = json.loads(text)
        verdict = content["verdict"]
        return cls(
            **{
                **content,
                "verdict": None if verdict is None else Verdict.from_content(verdict),
                "aliases": tuple(content["aliases"]),
            }
        )

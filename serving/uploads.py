"""POST /model/upload: a booster that was trained elsewhere becomes a version, after everything about it was checked.

The file is looked at in plain Python, loaded and scored in a process of its own and saved anew (serving.booster_check);
what is registered is what XGBoost wrote. `ml.adopt` calibrates it on the platform's own mature window, and the gate's
verdict is reached behind the answer: GET /model/versions/{version} tells of it. Nothing here moves an alias.
"""

import asyncio
import base64
import hashlib
import logging
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict
from urllib.parse import parse_qsl

from data_contracts.feature_set_files import ROOT
from data_contracts.features import FeatureSet
from data_contracts.known_features import known
from data_contracts.model_versions import EVALUATION, UPLOAD, UPLOADED_BY, Outcome, upload_id
from data_contracts.sections import parsed_instant
from data_contracts.settings import Settings
from serving.activation import alone
from serving.booster_check import golden_rows, loaded_and_resaved
from serving.booster_file import BoosterFileError
from serving.problems import FieldError, ProblemError, Response, invalid, json_response, unavailable
from serving.registry_problems import registry_problems, version_number

if TYPE_CHECKING:
    from data_contracts.model_versions import RegisteredVersion

LOGGER = logging.getLogger(__name__)
MEDIA_TYPE = b"application/octet-stream"
STATUS = {"unsupported_kind": 415, "too_large": 413}
"""Of a refusal by its code; all others are 422."""
UNDER_WAY, FAILED = "under way", "failed: "
ADOPT_SECONDS, EVALUATE_SECONDS = 600, 3600


class VersionStatus(TypedDict):
    """A registered version: how far its evaluation has come, what the gate said, and the aliases that it has."""

    version: str
    feature_set_hash: str | None
    uploaded_by: str | None
    evaluation: str
    outcome: Outcome | None
    reasons: Sequence[str]
    aliases: Sequence[str]


class Upload(TypedDict):
    """What a request states besides the file."""

    feature_set: FeatureSet
    trained_through: datetime


class Uploads:
    """Takes one upload at a time, and refuses another meanwhile; the evaluations run one behind the other."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._is_busy = False

    async def upload(self, content: bytes, headers: Mapping[bytes, bytes], query: bytes, who: str) -> Response:
        """`who` uploads, by the name of a key. Raises ProblemError 413, 415, 422 and 503."""
        if headers.get(b"content-type", b"").partition(b";")[0].strip().lower() != MEDIA_TYPE:
            raise ProblemError(415, "unsupported_media_type", f"send {MEDIA_TYPE.decode()}")
        asked = self._asked(query)
        _check_digest(content, headers.get(b"content-digest", b"").decode("latin-1"))
        if self._is_busy:
            raise unavailable("upload_under_way", "another model is being checked")
        self._is_busy = True
        try:
            version, is_new = await asyncio.to_thread(self._registered, content, asked, who)
        finally:
            self._is_busy = False
        if is_new or version.tags.get(EVALUATION, "").startswith(FAILED):
            evaluation = threading.Thread(target=self._evaluate, args=(version,), name="evaluation", daemon=True)
            evaluation.start()
        told = json_response(_status_of(version), 201 if is_new else 200)
        return Response(told.status, told.body, headers={"location": f"/model/versions/{version.version}"})

    def _asked(self, query: bytes) -> Upload:
        given = dict(parse_qsl(query.decode("latin-1"), keep_blank_values=True))
        if strange := given.keys() - {"feature_set", "trained_through"}:
            raise invalid(f"query.{min(strange)[:50]}", "unknown_field")
        if missing := [name for name in ("feature_set", "trained_through") if name not in given]:
            raise ProblemError(
                422, "invalid_request", f"query.{missing[0]}: missing",
                tuple(FieldError(f"query.{name}", "missing") for name in missing),
            )  # fmt: skip
        digest = given["feature_set"]
        feature_set = known(self._settings, digest) if len(digest) == 64 and digest.isalnum() else None
        if feature_set is None:
            raise invalid("query.feature_set", "unknown_feature_set")
        try:
            trained_through = parsed_instant(given["trained_through"])
        except ValueError:
            raise invalid("query.trained_through", "not_a_time") from None
        if trained_through > datetime.now(UTC):
            raise invalid("query.trained_through", "too_far_ahead")
        return Upload(feature_set=feature_set, trained_through=trained_through)

    def _registered(self, content: bytes, asked: Upload, who: str) -> tuple["RegisteredVersion", bool]:
        """The version that the file has become, and whether it is a new one."""
        from data_contracts import registry

        feature_set = asked["feature_set"]
        resaved = self._resaved(content, feature_set, who)
        upload = upload_id(resaved, feature_set.hash)
        with registry_problems(), alone(self._settings, "upload"):
            if found := registry.find_version(self._settings, UPLOAD, upload):
                return found, False
            self._adopt(resaved, asked, who)
            made = registry.find_version(self._settings, UPLOAD, upload)
        if made is None:
            raise unavailable("not_registered", "the version is not found again")
        return made, True

    def _resaved(self, content: bytes, feature_set: FeatureSet, who: str) -> bytes:
        """The model as XGBoost itself writes it."""
        try:
            with _room():
                return loaded_and_resaved(content, feature_set.feature_names, golden_rows(feature_set)).content
        except BoosterFileError as error:
            if error.signal is not None:
                LOGGER.warning("an upload by %s ended its process by signal %d", who, error.signal)
            raise ProblemError(STATUS.get(error.code, 422), error.code, str(error)) from None

    def _adopt(self, content: bytes, asked: Upload, who: str) -> None:
        stated = ["--feature-set", asked["feature_set"].hash, "--uploaded-by", who]
        stated += ["--trained-through", asked["trained_through"].isoformat()]
        with _room(), tempfile.TemporaryDirectory(prefix="upload-") as folder:
            file = Path(folder) / "model.ubj"
            file.write_bytes(content)
            problem = self._run("ml.adopt", [str(file), *stated], ADOPT_SECONDS)
        if problem:
            raise unavailable("not_registered", problem)

    def _evaluate(self, version: "RegisteredVersion") -> None:
        """The holdout of the version, and its verdict; why there is none is a tag of it, and the same model sent again
        is evaluated again."""
        self._note(version, UNDER_WAY)
        asked = ["--as-of", version.tags["as_of"], "--version", version.version]
        with alone(self._settings, "evaluation"):
            for module in ("spark_jobs.build_holdout", "ml.evaluate"):
                if problem := self._run(module, asked, EVALUATE_SECONDS):
                    LOGGER.error("version %s is not evaluated: %s", version.version, problem)
                    self._note(version, f"{FAILED}{problem}")
                    return
            self._note(version, "done")

    def _note(self, version: "RegisteredVersion", what: str) -> None:
        from data_contracts import registry

        try:
            registry.set_tag(self._settings, version.version, EVALUATION, what)
        except registry.RegistryError as error:
            LOGGER.error("the evaluation of version %s is not noted: %s", version.version, error)

    def _run(self, module: str, arguments: Sequence[str], seconds: float) -> str:
        """A command of the platform as a process of its own, at low priority; what it says where it fails."""
        command = ["nice", "-n", "10", sys.executable, "-m", module, *arguments]
        try:
            done = subprocess.run(
                command, cwd=ROOT, env=os.environ | {"CLICKLAKE_HOME": str(self._settings.home)}, text=True,
                stdin=subprocess.DEVNULL, capture_output=True, timeout=seconds, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return f"{module} took over {seconds} s"
        if not done.returncode:
            return ""
        told = (done.stderr or done.stdout).strip().rpartition("\n")[2]
        return told.removeprefix("error: ")[:500] or f"{module} ended with {done.returncode}"

    async def status(self, number: str) -> Response:
        """Raises ProblemError 404, 422 and 503."""
        return json_response(_status_of(await asyncio.to_thread(self._version, version_number(number))))

    def _version(self, number: str) -> "RegisteredVersion":
        from data_contracts import registry

        with registry_problems():
            return registry.version(self._settings, number)


@contextmanager
def _room() -> Iterator[None]:
    """Turns a disk that takes no file into ProblemError 503."""
    try:
        yield
    except OSError as error:
        raise unavailable("no_room", f"the file cannot be checked: {error.strerror}") from None


def _check_digest(content: bytes, stated: str) -> None:
    """Content-Digest (RFC 9530), where it is sent with SHA-256."""
    for part in stated.split(","):
        name, _, value = part.strip().partition("=")
        if name == "sha-256" and value != f":{base64.b64encode(hashlib.sha256(content).digest()).decode()}:":
            raise invalid("header.content-digest", "another_content")


def _status_of(version: "RegisteredVersion") -> VersionStatus:
    verdict, tags = version.verdict, version.tags
    return {
        "version": version.version,
        "feature_set_hash": tags.get("feature_set_hash"),
        "uploaded_by": tags.get(UPLOADED_BY),
        "evaluation": tags.get(EVALUATION) or (UNDER_WAY if UPLOAD in tags and verdict is None else "done"),
        "outcome": None if verdict is None else verdict.outcome,
        "reasons": [] if verdict is None else verdict.reasons,
        "aliases": version.aliases,
    }

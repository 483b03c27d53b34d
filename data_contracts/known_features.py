"""The feature sets that training sets were built from here, by hash: what a registered version refers to."""

from pathlib import Path

from data_contracts.disk import replace_whole
from data_contracts.feature_set_files import FeatureSetError, feature_set_path, load_feature_set
from data_contracts.features import FeatureSet
from data_contracts.settings import Settings


def keep(settings: Settings, feature_set: FeatureSet) -> FeatureSet:
    """Keep the file of a feature set under its hash; the same from there, where nobody edits it. Raises FeatureSetError
    when the file has changed since it was loaded."""
    kept = _folder(settings) / feature_set.hash / feature_set.path.name
    kept.parent.mkdir(parents=True, exist_ok=True)
    replace_whole(kept, feature_set.path.read_text())
    if (found := load_feature_set(kept)).hash != feature_set.hash:
        kept.unlink()
        raise FeatureSetError(f"{feature_set.path} has changed meanwhile: run this again")
    return found


def known(settings: Settings, feature_set_hash: str) -> FeatureSet | None:
    """The feature set of that hash, if it was kept."""
    found = next(iter(_folder(settings).glob(f"{feature_set_hash}/*.py")), None)
    return load_feature_set(found) if found else None


def all_known(settings: Settings) -> list[FeatureSet]:
    """Every feature set that was kept."""
    return [load_feature_set(path) for path in sorted(_folder(settings).glob("*/*.py"))]


def current(settings: Settings) -> FeatureSet:
    """The feature set that conf names. Raises FeatureSetError."""
    return load_feature_set(feature_set_path(settings.features.feature_set))


def _folder(settings: Settings) -> Path:
    return settings.home / "feature_sets"

"""What the mains of this stage share: `--as-of`, settings read once, and errors of one line."""

import argparse
import sys
from collections.abc import Callable
from datetime import datetime

from mlflow.exceptions import MlflowException

from data_contracts.feature_set_files import FeatureSetError
from data_contracts.registry import RegistryError
from data_contracts.sections import parsed_instant
from data_contracts.settings import ConfigurationError, Settings, load
from ml.join_health import JoinHealthError
from ml.splits import SliceError
from ml.training_sets import TrainingSetError

EXPECTED_ERRORS = (ConfigurationError, FeatureSetError, JoinHealthError, RegistryError, SliceError, TrainingSetError)


def parser(description: str | None) -> argparse.ArgumentParser:
    """A parser that knows --as-of."""
    made = argparse.ArgumentParser(description=description)
    made.add_argument(
        "--as-of", required=True, type=instant, help="exclusive end of what was known, such as 2019-11-30T23:00:00Z"
    )
    return made


def instant(text: str) -> datetime:
    """Of an argument."""
    try:
        return parsed_instant(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def exit_code(action: Callable[[Settings], str]) -> int:
    """Runs `action` and prints the summary it returns: 0, or 1 after one line about an expected error."""
    try:
        print(action(load()), flush=True)
    except EXPECTED_ERRORS as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        return 1
    except MlflowException as error:
        print(f"error: MLflow: {str(error).splitlines()[0]}", file=sys.stderr, flush=True)
        return 1
    return 0

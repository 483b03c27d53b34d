"""Tables -> registered model -> promoted model."""

import os

# MLflow reads these when it is imported: no calls home, no progress bars in a task's log.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")

"""HTTP: scores out, events in, both durably in landing. Meets the other stages in the snapshot of counts, the MLflow
registry and landing segments only."""

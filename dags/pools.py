"""Who writes which tables: an Airflow pool of one slot a writer, so that no two tasks write a table at one time."""

from data_contracts.tables import LANDED

WRITERS = {
    "raw_events": ("raw_events",),
    "refined_tables": (*LANDED, "rejected_events"),
    "validation_results": ("validation_results",),
    "count_tiles": ("count_tiles", "feature_sums"),
    "labels": ("labels", "click_joins"),
    "training_sets": ("training_sets",),
    "holdouts": ("holdouts",),
    "model_metadata": ("model_metadata",),
    "model_comparisons": ("model_comparisons",),
    "table_sizes": ("table_sizes",),
}
"""Pool -> its tables. `clicklake start` makes the pools; a task waits for its slot."""

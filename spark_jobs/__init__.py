"""Raw events to tables: one Spark job a module, run as `python -m spark_jobs.NAME --as-of INSTANT`."""

"""What every stage may rely on: tables, features, labels, calibration, settings. Standard library only, but for
`lake` (DuckDB) and `registry` (MLflow), which a stage imports when it needs them."""

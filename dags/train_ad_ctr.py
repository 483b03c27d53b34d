"""# train_ad_ctr
Trains a challenger on mature labels, judges it, and promotes it if its verdict says so.

`build_training_set` joins mature labels with the counts that serving could have held, into **training_sets**. `train`
logs one MLflow run and registers a version. `build_holdout` makes the inputs of the holdout from the tables again, for
challenger and champion alike. `evaluate` compares both on that later window, which neither has seen, and writes a
verdict with its reasons. `promote` moves the alias `champion`, and serving swaps to it without dropping a request; a
refusal is a result, not a failure: the log of `promote` says why. `mirror_models` brings **model_metadata** to what
MLflow says of all versions.

Runs every day (`training.schedule` of conf); press *Trigger* to retrain now, on the newest counts and labels that
`build_features` has made.
"""

from airflow.sdk import DAG

from dags.jobs import COUNT_TILES, EVERY_DAG, LABELS, at, job
from data_contracts.settings import load

MADE_FROM = {"inlets": [COUNT_TILES, LABELS]}

with DAG("train_ad_ctr", doc_md=__doc__, schedule=at(load().training.schedule), **EVERY_DAG):
    built = job("spark_jobs.build_training_set", pool="training_sets", **MADE_FROM)
    trained = built >> job("ml.train", **MADE_FROM)
    held_out = trained >> job("spark_jobs.build_holdout", pool="holdouts", **MADE_FROM)
    promoted = held_out >> job("ml.evaluate", **MADE_FROM) >> job("ml.promote", **MADE_FROM)
    promoted >> job("spark_jobs.mirror_models", pool="model_metadata", **MADE_FROM)

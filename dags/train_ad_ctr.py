"""# train_ad_ctr
Trains a challenger on mature labels, judges it, and promotes it if its verdict says so.

`train` logs one MLflow run and registers a version. `build_holdout` makes the inputs of the holdout from the tables
again, for challenger and champion alike. `evaluate` compares both on that later window, which neither has seen, and
writes a verdict with its reasons. `promote` moves the alias `champion`, and serving swaps to it
without dropping a request; a refusal is a result, not a failure: the log of `promote` says why.
Follows `build_features`; press *Trigger* to retrain by hand.
"""

from airflow.sdk import DAG

from dags.jobs import EVERY_DAG, TRAINING_SETS, job

with DAG("train_ad_ctr", doc_md=__doc__, schedule=[TRAINING_SETS], **EVERY_DAG):
    job("ml.train") >> job("spark_jobs.build_holdout", pool="holdouts") >> job("ml.evaluate") >> job("ml.promote")

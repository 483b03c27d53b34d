"""# build_features
Counts the past, gives serving its snapshot, and joins mature labels with the counts serving could have held.

`count_events` sums impressions and clicks an entity and hour into **count_tiles**. `publish_counts` makes the
snapshot that serving reads. `label_impressions` says what became of each impression (**labels**), `join_clicks` how
the clicks stand with their impressions (**click_joins**), and `build_training_set` writes **training_sets**.
Follows `ingest_events`, with the same as_of; `train_ad_ctr` follows it.
"""

from airflow.sdk import DAG

from dags.jobs import AD_IMPRESSIONS, EVERY_DAG, TRAINING_SETS, job

with DAG("build_features", doc_md=__doc__, schedule=[AD_IMPRESSIONS], **EVERY_DAG):
    tiles = job("spark_jobs.count_events", pool="count_tiles")
    labels = job("spark_jobs.label_impressions", pool="labels")
    tiles >> job("spark_jobs.publish_counts")
    [tiles, labels] >> job("spark_jobs.build_training_set", TRAINING_SETS, pool="training_sets")
    job("spark_jobs.join_clicks", pool="labels")

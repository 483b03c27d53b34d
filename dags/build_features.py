"""# build_features
Counts the past, gives serving its snapshot, and says what became of each impression.

`count_events` sums impressions and clicks an entity and hour into **count_tiles**, and features of all impressions
of an hour into **feature_sums**. `publish_counts` makes the snapshot that serving reads. `label_impressions` says what
became of each impression (**labels**), `join_clicks` how the clicks stand with their impressions (**click_joins**).
`mirror_models` brings **model_metadata** to what the registry says: a version may have been promoted or rolled back by
hand. `compare_models` says how shadows and the canary differ from the champion (**model_comparisons**), and ends a
canary whose calibration is off.
Follows `ingest_events`, with the same as_of. `train_ad_ctr` trains on what this makes.
"""

from airflow.sdk import DAG

from dags.jobs import AD_IMPRESSIONS, COUNT_TILES, EVERY_DAG, LABELS, job

with DAG("build_features", doc_md=__doc__, schedule=[AD_IMPRESSIONS], **EVERY_DAG):
    job("spark_jobs.count_events", COUNT_TILES, pool="count_tiles") >> job("spark_jobs.publish_counts")
    labelled = job("spark_jobs.label_impressions", LABELS, pool="labels")
    labelled >> job("spark_jobs.compare_models", pool="model_comparisons")
    job("spark_jobs.join_clicks", pool="labels")
    job("spark_jobs.mirror_models", pool="model_metadata")

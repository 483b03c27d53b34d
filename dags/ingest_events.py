"""# ingest_events
Brings what landed since the last run into the tables.

`load_events` moves sealed landing segments into **raw_events**, each line once. `refine_events` checks every row
against its contract, keeps each id once and fills **ad_impressions**, **clicks**, **ads**, **users**,
**model_predictions** and **rejected_events**. `validate_table` runs Great Expectations; a broken contract
fails the run.

Press *Trigger* whenever new events should be seen. Running it twice changes nothing. `build_features` follows.
"""

from airflow.sdk import DAG

from dags.jobs import AD_IMPRESSIONS, EVERY_DAG, job

with DAG("ingest_events", doc_md=__doc__, schedule=None, **EVERY_DAG):
    job("spark_jobs.load_events") >> job("spark_jobs.refine_events") >> job("spark_jobs.validate_table", AD_IMPRESSIONS)

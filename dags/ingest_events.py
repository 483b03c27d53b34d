"""# ingest_events
Brings what landed since the last run into the tables.

`load_events` moves sealed landing segments into **raw_events**, each line once. `refine_events` checks every row
against its contract, keeps each id once and fills **ad_impressions**, **clicks**, **ads**, **users**,
**model_predictions**, **shadow_predictions** and **rejected_events**. `validate_table` runs Great Expectations; a
broken contract fails the run.

Press *Trigger* whenever new events should be seen, or set `ingest.schedule` (conf). Running it twice changes nothing.
`build_features` follows.

A batch with too many broken rows (`ingest.worst_rejected_share`) stops `refine_events` and loses nothing: once its
producer or the contract is mended, clear the task; to take it as it is, trigger with *let a bad batch through*.

**Backfill**, once there is a schedule: `airflow backfill create --dag-id ingest_events --from-date A --to-date B`. Each
run's as_of is the hour it stands for. Under a stated clock that is so too, up to the stated time; a later date, and
every scheduled run, means the stated time.
"""

from airflow.sdk import DAG

from dags.jobs import AD_IMPRESSIONS, EVERY_DAG, LET_BAD_BATCH_THROUGH, at, job
from data_contracts.settings import load

PARAMS = {**EVERY_DAG["params"], "let_bad_batch_through": LET_BAD_BATCH_THROUGH}

with DAG("ingest_events", doc_md=__doc__, schedule=at(load().ingest.schedule), **EVERY_DAG | {"params": PARAMS}):
    loaded = job("spark_jobs.load_events", pool="raw_events")
    refined = job("spark_jobs.refine_events", pool="refined_tables", switch="let_bad_batch_through")
    loaded >> refined >> job("spark_jobs.validate_table", AD_IMPRESSIONS, pool="validation_results")

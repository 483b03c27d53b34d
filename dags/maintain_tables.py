"""# maintain_tables
Keeps the tables quick to read and the disk from filling up, every night (`retention.schedule` of conf).

`release_segments` deletes landing segments that **raw_events** is proven to hold, line for line. The other tasks, one
for the tables of each writer, compact small files, delete days of **raw_events** that are past their retention and
refined, delete files that no version of the last `retention.vacuum_hours` needs, and write each table's size to
**table_sizes**.

A second run changes nothing but table_sizes. A task waits for the pool of its tables: none is written meanwhile.
docs/operations.md says what is deleted, when, and on which proof.
"""

from airflow.sdk import DAG

from dags.jobs import EVERY_DAG, at, job
from dags.pools import WRITERS
from data_contracts.settings import load

with DAG(
    "maintain_tables",
    doc_md=__doc__,
    schedule=at(load().retention.schedule),
    is_paused_upon_creation=False,
    max_active_tasks=1,  # they all write table_sizes, and the day's own work needs the machine too
    **EVERY_DAG,
):
    job("spark_jobs.release_segments", pool="raw_events")
    for pool, tables in WRITERS.items():
        job("spark_jobs.maintain_tables", pool=pool, name=f"maintain_{pool}", tables=tables)

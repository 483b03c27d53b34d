"""Counted rows become features, by the very machine code that serving runs. Runs in Spark's Python workers."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyspark.sql.types import ArrayType, FloatType, LongType, StructField, StructType

from data_contracts.counts import MILLION
from data_contracts.feature_set_files import FeatureSetError, load_feature_set
from data_contracts.features import FeatureSet
from spark_jobs.windows import Then

MOST_SUMMED = 1e6
"""So far from 0 a value may be: millions of them fit into 64 bits in millionths."""
INSTANT = "timestamp in seconds"


def features_of(rows: pa.Table, feature_set: FeatureSet) -> NDArray[np.float32]:
    """(rows, features) of rows with position, timestamp, and numbers, counts and sums by the names they are looked up
    by."""
    from data_contracts.compiled import compiled

    given = rows.append_column(INSTANT, pc.divide(pc.cast(rows.column("timestamp"), pa.int64()), 1e6))
    columns = {"timestamp": INSTANT} | feature_set.looked_up
    names = (columns.get(name, name) for name in feature_set.input_names)
    inputs = [pc.cast(given.column(name), pa.float64()).fill_null(np.nan).to_numpy() for name in names]
    return compiled(feature_set)(np.stack(inputs, axis=1))


def featurised(feature_set: FeatureSet, kept: Sequence[str]) -> Then:
    """Rows with the columns `kept` and `features`."""
    path = feature_set.path

    def of(rows: pa.Table) -> pa.Table:
        found = features_of(rows, load_feature_set(path))
        ends = np.arange(len(found) + 1, dtype=np.int32) * found.shape[1]
        lists = pa.ListArray.from_arrays(pa.array(ends), pa.array(found.ravel()))
        return rows.select(kept).append_column("features", lists)

    def schema(rows: StructType) -> StructType:
        return StructType([*(rows[name] for name in kept), StructField("features", ArrayType(FloatType()))])

    return Then(of, schema)


def summed_up(feature_set: FeatureSet, by: str) -> Then:
    """A row a value of `by`, with what each summed feature comes to, in millionths; one beyond
    MOST_SUMMED, or that is none, adds nothing."""
    path, digest, names = feature_set.path, feature_set.hash, feature_set.summed.feature_names

    def of(rows: pa.Table) -> pa.Table:
        known = load_feature_set(path)
        if known.hash != digest:
            raise FeatureSetError(f"{path} has changed meanwhile: run this again")
        found = features_of(rows, known.summed).astype(np.float64)
        finite = np.where(np.abs(found) <= MOST_SUMMED, found, 0)
        groups, places = np.unique(rows.column(by).to_numpy(), return_inverse=True)
        totals = np.zeros((len(groups), len(names)), np.int64)
        np.add.at(totals, places, np.rint(finite * MILLION).astype(np.int64))
        return pa.table({by: groups} | dict(zip(names, totals.T, strict=True)))

    def schema(rows: StructType) -> StructType:
        return StructType([rows[by], *(StructField(name, LongType()) for name in names)])

    return Then(of, schema)

"""A contract that has changed against a table that is there: what may be added to it, and what is refused by name."""

from pyspark.sql.types import StructType

from data_contracts.render import quoted
from data_contracts.schema import Table


class ContractChangeError(ValueError):
    """A contract that the rows already written cannot meet."""


def alterations(stored: StructType, table: Table) -> list[str]:
    """What follows ALTER TABLE, in order, to bring a table of the schema `stored` to its contract without a rewrite:
    new nullable columns, and columns that may be null now. Raises ContractChangeError on anything else."""
    known = {field.name: field for field in stored.fields}
    gone = [name for name in known if name not in table.column_names]
    if gone:
        raise ContractChangeError(
            f"{table.name}.{gone[0]} is in the lake but not in the contract: a column may not be dropped or renamed"
        )
    added, loosened = [], []
    for column in table.columns:
        where, field = f"{table.name}.{column.name}", known.get(column.name)
        if field is None and not column.nullable:
            raise ContractChangeError(f"{where} is new and may not be null: rows already written have no value for it")
        if field is None:
            added.append(f"`{column.name}` {column.type} COMMENT {quoted(column.about)}")
            continue
        if (stored_type := field.dataType.simpleString().upper()) != column.type:
            raise ContractChangeError(f"{where} is {stored_type} in the lake: its type may not become {column.type}")
        if field.nullable and not column.nullable:
            raise ContractChangeError(f"{where} may be null in the lake: rows already written may have no value for it")
        if column.nullable and not field.nullable:
            loosened.append(f"ALTER COLUMN `{column.name}` DROP NOT NULL")
    return loosened + ([f"ADD COLUMNS ({', '.join(added)})"] if added else [])

"""Many new rows in one go: on PostgreSQL by COPY, several times as fast as INSERT."""

from collections.abc import Iterable, Sequence
from typing import Any

from django.db import connection


def can_copy() -> bool:
    """Whether the database knows COPY."""
    return connection.vendor == "postgresql"


def copy(table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """The rows, values in the order of `columns`, all or none. Raises the database's own errors."""
    quoted = connection.ops.quote_name
    names = ", ".join(quoted(column) for column in columns)
    statement = f"COPY {quoted(table)} ({names}) FROM STDIN"
    with connection.wrap_database_errors, connection.cursor() as cursor, cursor.copy(statement) as copying:
        for row in rows:
            copying.write_row(row)

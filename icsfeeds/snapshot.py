"""Several reads of one state of the database."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from django.db import DEFAULT_DB_ALIAS, DatabaseError, connections

# Not Django's `atomic`: on PostgreSQL that shows each statement a state of its own, and on SQLite it locks out writers.
_BEGIN = {"postgresql": "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", "sqlite": "BEGIN DEFERRED"}


@contextmanager
def one_snapshot() -> Iterator[bool]:
    """Whatever is read in the block is as it was at one moment; nothing can be written, and nobody waits.

    Says False, and is nothing, in somebody's transaction: whoever opened that has chosen what it shows.
    """
    connection: Any = connections[DEFAULT_DB_ALIAS]
    if connection.in_atomic_block:
        yield False
        return
    with connection.cursor() as cursor:
        cursor.execute(_BEGIN[connection.vendor])
    try:
        yield True
    finally:
        # A connection that broke has no transaction any more.
        with suppress(DatabaseError), connection.cursor() as cursor:
            cursor.execute("ROLLBACK")

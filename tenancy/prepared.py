"""Statements that are prepared once a connection and run through libpq itself.

Django takes longer over its cursors, and psycopg over its own, than PostgreSQL over a row. What is asked thousands of
times a second goes this way where a connection is open and idle. Whatever is unusual (a transaction, someone who counts
queries, a pooler that gave the session to somebody else, a connection that broke) is for Django's way, which knows what
to do about it.
"""

import hashlib
import threading
from collections.abc import Sequence
from time import monotonic
from typing import Any

import psycopg
from psycopg.adapt import Transformer
from psycopg.pq import DiagnosticField, ExecStatus

_SQLSTATE, _ROWS = DiagnosticField.SQLSTATE, ExecStatus.TUPLES_OK
_EXISTS_ALREADY = b"42P05"


class Prepared:
    """sql: one statement that returns rows, with $1, $2 … for its values.

    Named by its text: where sessions are shared, the same name is the same statement.
    """

    def __init__(self, sql: str) -> None:
        self.sql = sql.encode()
        self.name = b"own_" + hashlib.sha256(self.sql).hexdigest()[:24].encode()


def is_idle(connection: Any) -> bool:
    """Whether this connection of Django's is PostgreSQL's, open, outside of any transaction, and watched by nobody."""
    return bool(
        connection.vendor == "postgresql"
        and connection.connection is not None
        and not (connection.in_atomic_block or connection.queries_logged or connection.execute_wrappers)
        and connection.autocommit
    )


def look_after(connection: Any) -> None:
    """What Django does at a request's end, which callers who are answered before Django's request never see."""
    if connection.in_atomic_block:
        return
    too_old = connection.close_at is not None and monotonic() >= connection.close_at
    if connection.errors_occurred or too_old:
        connection.close_if_unusable_or_obsolete()


class Line:
    """What a thread has prepared on its connection, which is psycopg's."""

    def __init__(self, owner: Any) -> None:
        self.owner, self.pgconn = owner, owner.pgconn
        self.reader = Transformer(owner)
        self.prepared: set[bytes] = set()

    def run(self, statement: Prepared, values: Sequence[bytes | None]) -> Any:
        """libpq's result, with its rows; None where it has none because something failed.

        values: in PostgreSQL's text form. The connection has to be idle, so that no failure spoils a transaction.
        """
        try:
            if statement.name not in self.prepared:
                done = self.pgconn.prepare(statement.name, statement.sql)
                if done.status != ExecStatus.COMMAND_OK and done.error_field(_SQLSTATE) != _EXISTS_ALREADY:
                    return None
                self.prepared.add(statement.name)
            result = self.pgconn.exec_prepared(statement.name, values)
        except psycopg.Error:
            return None
        if result.status != _ROWS:
            self.prepared.clear()
            return None
        return result


class _Lines(threading.local):
    known: Line | None = None


_LINES = _Lines()


def line_of(connection: Any) -> Line:
    """This thread's line: connections are threads' own, too."""
    if _LINES.known is None or _LINES.known.owner is not connection.connection:
        _LINES.known = Line(connection.connection)
    return _LINES.known


def forget() -> None:
    """Drop what this thread knows of its connection: it prepares anew."""
    _LINES.known = None

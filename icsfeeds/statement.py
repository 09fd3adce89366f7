"""One SELECT by one text, built once and asked thousands of times a second: the query that every reader costs.

Django takes longer over its cursors, and psycopg over its own, than PostgreSQL over the row. So on a connection that is
open and idle the statement is prepared once, and from then on asked through libpq itself. Whatever is unusual (a
transaction, someone who counts queries, a pooler that gave the session to somebody else, a connection that broke) is
asked Django's way, which knows what to do about it.
"""

import hashlib
import threading
from typing import Any

import psycopg
from django.db import DEFAULT_DB_ALIAS
from django.db.models import QuerySet
from django.db.utils import InterfaceError, OperationalError
from psycopg.adapt import Transformer
from psycopg.pq import DiagnosticField, ExecStatus

# Stands in the queryset where each question's own text goes.
UNKNOWN = "?"
_READ_MOST = 10_000
_SQLSTATE, _FOUND = DiagnosticField.SQLSTATE, ExecStatus.TUPLES_OK


class Statement:
    """queryset: of `values_list`, with one condition, the last in its SQL, that compares with `UNKNOWN`."""

    def __init__(self, queryset: QuerySet[Any, Any]) -> None:
        self.compiler = queryset.query.get_compiler(DEFAULT_DB_ALIAS)
        self.sql, parameters = self.compiler.as_sql()
        assert parameters[-1] == UNKNOWN, parameters
        self.before = tuple(parameters[:-1])
        self.converters = self.compiler.get_converters([expression for expression, _, _ in self.compiler.select])
        # PostgreSQL's own form, where every other value stands in the SQL already.
        self.plain = b"" if self.before else (self.sql.replace("%s", "$1").replace("%%", "%")).encode()
        # Rows that were read before, by the bytes that PostgreSQL said: most answers are the last one again.
        self.read: dict[tuple[bytes | None, ...], tuple[Any, ...]] = {}
        # Named by its text: where sessions are shared, the same name is the same statement.
        self.name = b"feeds_" + hashlib.sha256(self.plain).hexdigest()[:24].encode()

    def row(self, connection: Any, text: str) -> tuple[Any, ...] | None:
        """The first row, or None; one query on this connection of Django's."""
        found = _LINES.line(connection).ask(self, text) if self._may_be_short(connection) else _NOT_ASKED
        if found is _NOT_ASKED:
            found = self._asked(connection, text)
        if found is None or not self.converters:
            return found  # type: ignore[no-any-return]
        rows: Any = self.compiler.apply_converters([found], self.converters)
        return tuple(next(iter(rows)))

    def _may_be_short(self, connection: Any) -> bool:
        return bool(
            self.plain
            and connection.vendor == "postgresql"
            and connection.connection is not None
            and not (connection.in_atomic_block or connection.queries_logged or connection.execute_wrappers)
            and connection.autocommit
        )

    def _asked(self, connection: Any, text: str) -> Any:
        if connection.connection is not None and not connection.in_atomic_block:
            # Django would ask first whether a kept connection still lives. A query that failed can be asked again.
            connection.health_check_done = True
        try:
            return self._by_cursor(connection, text)
        except (OperationalError, InterfaceError):
            if connection.in_atomic_block:
                raise
            connection.close()
            return self._by_cursor(connection, text)

    def _by_cursor(self, connection: Any, text: str) -> Any:
        with connection.cursor() as cursor:
            cursor.execute(self.sql, (*self.before, text))
            return cursor.fetchone()


_NOT_ASKED: Any = object()
_EXISTS_ALREADY = b"42P05"


class _Line:
    """What a thread has prepared on its connection, which is psycopg's."""

    def __init__(self, owner: Any) -> None:
        self.owner, self.pgconn = owner, owner.pgconn
        self.reader = Transformer(owner)
        self.prepared: set[bytes] = set()

    def ask(self, statement: Statement, text: str) -> Any:
        """The row, None, or `_NOT_ASKED`. No transaction is open that a failure could spoil."""
        try:
            if statement.name not in self.prepared:
                done = self.pgconn.prepare(statement.name, statement.plain)
                if done.status != ExecStatus.COMMAND_OK and done.error_field(_SQLSTATE) != _EXISTS_ALREADY:
                    return _NOT_ASKED
                self.prepared.add(statement.name)
            result = self.pgconn.exec_prepared(statement.name, [text.encode()])
        except psycopg.Error:
            return _NOT_ASKED
        if result.status != _FOUND:
            self.prepared.clear()
            return _NOT_ASKED
        if not result.ntuples:
            return None
        told = tuple([result.get_value(0, column) for column in range(result.nfields)])
        if (known := statement.read.get(told)) is None:
            self.reader.set_pgresult(result)
            known = self.reader.load_row(0, tuple)
            if len(statement.read) >= _READ_MOST:
                statement.read.clear()
            statement.read[told] = known
        return known


class _Lines(threading.local):
    """The thread's line: connections are threads' own, too."""

    known: _Line | None = None

    def line(self, connection: Any) -> _Line:
        if self.known is None or self.known.owner is not connection.connection:
            self.known = _Line(connection.connection)
        return self.known


_LINES = _Lines()

"""One SELECT by one text, built once and asked thousands of times a second: the query that every reader costs.

On a connection that is open and idle it is prepared once, and from then on asked through libpq itself
(`tenancy.prepared`); otherwise, and after any failure there, Django's cursor asks it.
"""

from typing import Any

from django.db import DEFAULT_DB_ALIAS
from django.db.models import QuerySet
from django.db.utils import InterfaceError, OperationalError

from tenancy.prepared import Line, Prepared, is_idle, line_of

# Stands in the queryset where each question's own text goes.
UNKNOWN = "?"
_READ_MOST = 10_000


class Statement:
    """queryset: of `values_list`, with one condition, the last in its SQL, that compares with `UNKNOWN`."""

    def __init__(self, queryset: QuerySet[Any, Any]) -> None:
        self.compiler = queryset.query.get_compiler(DEFAULT_DB_ALIAS)
        self.sql, parameters = self.compiler.as_sql()
        assert parameters[-1] == UNKNOWN, parameters
        self.before = tuple(parameters[:-1])
        self.converters = self.compiler.get_converters([expression for expression, _, _ in self.compiler.select])
        # PostgreSQL's own form, where every other value stands in the SQL already.
        plain = self.sql.replace("%s", "$1").replace("%%", "%")
        self.prepared = None if self.before else Prepared(plain)
        # Rows that were read before, by the bytes that PostgreSQL said: most answers are the last one again.
        self.read: dict[tuple[bytes | None, ...], tuple[Any, ...]] = {}

    def row(self, connection: Any, text: str) -> tuple[Any, ...] | None:
        """The first row, or None; one query on this connection of Django's."""
        found = self._shortly(line_of(connection), text) if is_idle(connection) else _NOT_ASKED
        if found is _NOT_ASKED:
            found = self._asked(connection, text)
        if found is None or not self.converters:
            return found  # type: ignore[no-any-return]
        rows: Any = self.compiler.apply_converters([found], self.converters)
        return tuple(next(iter(rows)))

    def _shortly(self, line: Line, text: str) -> Any:
        """The row, None, or `_NOT_ASKED`. No transaction is open that a failure could spoil."""
        result = line.run(self.prepared, [text.encode()]) if self.prepared else None
        if result is None:
            return _NOT_ASKED
        if not result.ntuples:
            return None
        told = tuple([result.get_value(0, column) for column in range(result.nfields)])
        if (known := self.read.get(told)) is None:
            line.reader.set_pgresult(result)
            known = line.reader.load_row(0, tuple)
            if len(self.read) >= _READ_MOST:
                self.read.clear()
            self.read[told] = known
        return known

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

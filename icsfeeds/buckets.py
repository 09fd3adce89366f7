"""A ledger's rows in 256 buckets, so that after a change only what stands near it is rendered again.

Rows of one UID share a bucket: a series with its overrides, a meeting with its copies. Each bucket's state is a digest
that is another one whenever a row was written, added or deleted; the database makes it without sending the rows.
"""

from typing import Any

from django.db.models import Aggregate, Case, Count, F, Func, QuerySet, TextField, Value, When
from django.db.models.functions import Cast

from busyblocks.models import BusyBlock


class _RowState(Func):
    """Text that changes whenever the row is written: on PostgreSQL its transaction and place, elsewhere its columns."""

    output_field = TextField()

    def as_postgresql(self, compiler: Any, connection: Any, **extra: Any) -> Any:
        return "xmin::text || ctid::text", ()

    def as_sqlite(self, compiler: Any, connection: Any, **extra: Any) -> Any:
        return self.as_sql(compiler, connection, template="%(expressions)s", arg_joiner=" || '|' || ", **extra)


class _Together(Aggregate):
    """The states of a group's rows as one text."""

    output_field = TextField()

    def as_postgresql(self, compiler: Any, connection: Any, **extra: Any) -> Any:
        # Of 64 bits each, and the sum of as many as there are: no order, so no sorting.
        template = "sum(hashtextextended(%(expressions)s, 0))::text"
        return self.as_sql(compiler, connection, template=template, **extra)

    def as_sqlite(self, compiler: Any, connection: Any, **extra: Any) -> Any:
        return self.as_sql(compiler, connection, template="group_concat(%(expressions)s)", **extra)


class _Keys(Aggregate):
    """The meetings' keys of a group, with commas."""

    output_field = TextField()

    def as_postgresql(self, compiler: Any, connection: Any, **extra: Any) -> Any:
        return self.as_sql(compiler, connection, template="string_agg(%(expressions)s, ',' ORDER BY id)", **extra)

    def as_sqlite(self, compiler: Any, connection: Any, **extra: Any) -> Any:
        return self.as_sql(compiler, connection, template="group_concat(%(expressions)s)", **extra)


class _Bucket(Func):
    """Two digits that follow from a name; on every database other ones."""

    output_field = TextField()

    def as_postgresql(self, compiler: Any, connection: Any, **extra: Any) -> Any:
        template = "lpad(to_hex(hashtext(%(expressions)s) & 255), 2, '0')"
        return self.as_sql(compiler, connection, template=template, **extra)

    def as_sqlite(self, compiler: Any, connection: Any, **extra: Any) -> Any:
        return self.as_sql(compiler, connection, template="substr(md5(%(expressions)s), 1, 2)", **extra)


_TOLD_BY = ("id", "updated_at", "sequence", "start_time", "end_time", "title", "status", "fbtype", "classification")
_NAME = Case(When(uid="", then=Cast("unique_id", TextField())), default=F("uid"), output_field=TextField())


def in_buckets(blocks: QuerySet[BusyBlock]) -> QuerySet[Any]:
    """`blocks` with their `bucket`, "00" to "ff"."""
    return blocks.annotate(bucket=_Bucket(_NAME))


def states(blocks: QuerySet[BusyBlock], *, with_meetings: bool) -> list[tuple[str, int, str, str]]:
    """(bucket, number of rows, state, meetings' keys) by bucket; keys only `with_meetings`. One query."""
    keys: Any = _Keys("meeting_key") if with_meetings else Value("")
    grouped: Any = in_buckets(blocks).order_by().values("bucket")
    found = grouped.annotate(rows=Count("pk"), state=_Together(_RowState(*_TOLD_BY)), keys=keys)
    return sorted(found.values_list("bucket", "rows", "state", "keys"))

"""Failures of commands as sentences that say what to do."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.core.management import CommandError
from django.db import InterfaceError, OperationalError, ProgrammingError


@contextmanager
def database_errors_explained() -> Iterator[None]:
    """A database that is away or without tables becomes a CommandError."""
    try:
        yield
    except ProgrammingError:
        raise CommandError("The database has no tables of this service yet: run manage.py migrate first.") from None
    except (OperationalError, InterfaceError) as error:
        if "no such table" in str(error):
            raise CommandError("The database has no tables of this service yet: run manage.py migrate first.") from None
        # The driver's text may repeat the connection's user and host; the operator's own log is the place for it.
        raise CommandError("The database cannot be used: check DATABASE_URL, and that it is running.") from None

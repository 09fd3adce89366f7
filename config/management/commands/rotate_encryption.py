"""Re-encrypt every stored secret with the newest key."""

from typing import Any

from django.core.management import BaseCommand, CommandError

from config.management.sentences import database_errors_explained
from tenancy.rotation import Rotation, encrypted_columns, rotate

_SHOWN = 10


def _silently(_: Rotation) -> None:
    pass


class Command(BaseCommand):
    help = (
        "Re-encrypt every stored secret with the first of FIELD_ENCRYPTION_KEYS. Put a new key in front, restart every "
        "process, run this, then drop the old keys. It may be interrupted and run again, beside the running service."
    )

    def handle(self, *_: Any, **options: Any) -> None:
        report = self._progress if options["verbosity"] > 1 else _silently
        leftover = 0
        with database_errors_explained():
            for model, column in encrypted_columns():
                done = rotate(model, column, progress=report)
                self.stdout.write(f"{done.column}: {done.rotated} re-encrypted, {done.current} up to date.")
                self._name(done.unreadable, "no configured key opens")
                self._name(done.contended, "changed each time we came to write")
                leftover += len(done.unreadable) + len(done.contended)
        if leftover:
            raise CommandError(
                f"{leftover} values are not under the newest key. Those that no key opens need the key they were "
                "written with in FIELD_ENCRYPTION_KEYS, or to be entered again; for the others, run this again."
            )
        self.stdout.write("Every value is under the newest key: older ones can be dropped from FIELD_ENCRYPTION_KEYS.")

    def _progress(self, done: Rotation) -> None:
        self.stdout.write(f"{done.column}: {done.rotated + done.current} so far.")

    def _name(self, rows: list[int], what: str) -> None:
        if rows:
            shown = ", ".join(map(str, rows[:_SHOWN])) + (" …" if len(rows) > _SHOWN else "")
            self.stderr.write(f"  {len(rows)} rows that {what}: {shown}")

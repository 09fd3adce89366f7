"""Bring every encrypted value under the newest key."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from cryptography.fernet import Fernet, InvalidToken
from django.apps import apps
from django.conf import settings
from django.db import models, transaction
from django.db.models import F, Value
from django.db.models.functions import Cast

from tenancy.encryption import EncryptedJSONField, fernet

BATCH = 200
# A row that changes between our read and our write is read again, this often at most.
_ATTEMPTS = 5


@dataclass(slots=True)
class Rotation:
    """What happened to one column: values moved to the newest key, values already there, rows that no key opens."""

    column: str
    rotated: int = 0
    current: int = 0
    unreadable: list[int] = field(default_factory=list)
    contended: list[int] = field(default_factory=list)


def encrypted_columns() -> Iterator[tuple[type[models.Model], str]]:
    """Every `EncryptedJSONField` of every model, in a stable order."""
    for model in apps.get_models():
        for column in model._meta.local_fields:
            if isinstance(column, EncryptedJSONField):
                yield model, column.attname


def rotate(
    model: type[models.Model], column: str, *, progress: Callable[[Rotation], None] = lambda _: None
) -> Rotation:
    """Re-encrypt one column, in batches by primary key; `progress` is called after each.

    Killed anywhere, it has lost nothing: each value is under the old key or the new one, both of which decrypt, and
    the next run passes over what is done. A value that somebody writes meanwhile wins: ours is written only where the
    ciphertext is still the one that was read.
    """
    newest = Fernet(settings.FIELD_ENCRYPTION_KEYS[0])
    done = Rotation(f"{model._meta.label}.{column}")
    # The ciphertext itself: the field would decrypt it.
    rows = model._base_manager.annotate(ciphertext=Cast(F(column), models.TextField()))
    last = 0
    while batch := list(
        rows.filter(pk__gt=last, ciphertext__isnull=False).order_by("pk").values_list("pk", "ciphertext")[:BATCH]
    ):
        last = batch[-1][0]
        # One commit for many rows; in primary key order, so that two rotations wait for each other in one direction.
        with transaction.atomic():
            for pk, ciphertext in batch:
                _rotate_row(rows, pk, column, ciphertext, newest=newest, done=done)
        progress(done)
    return done


def _rotate_row(
    rows: models.QuerySet[models.Model], pk: int, column: str, ciphertext: str | None, *, newest: Fernet, done: Rotation
) -> None:
    for _ in range(_ATTEMPTS):
        if ciphertext is None or _opens(newest, ciphertext):
            done.current += 1
            return
        try:
            replacement = fernet().rotate(ciphertext.encode()).decode()
        except InvalidToken:
            done.unreadable.append(pk)
            return
        unchanged = rows.filter(pk=pk, ciphertext=ciphertext)
        if unchanged.update(**{column: Value(replacement, output_field=models.TextField())}):
            done.rotated += 1
            return
        ciphertext = rows.filter(pk=pk).values_list("ciphertext", flat=True).first()
    done.contended.append(pk)


def _opens(key: Fernet, ciphertext: str) -> bool:
    try:
        key.decrypt(ciphertext.encode())
    except InvalidToken:
        return False
    return True

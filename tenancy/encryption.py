"""Secrets at rest: columns that hold Fernet tokens, and values in Python."""

import json
import zlib
from functools import lru_cache
from typing import Any

from cryptography.fernet import Fernet, MultiFernet
from django.conf import settings
from django.db import models


@lru_cache(maxsize=4)
def _fernet(keys: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([Fernet(key) for key in keys])


def fernet() -> MultiFernet:
    """The service's key ring: the first of FIELD_ENCRYPTION_KEYS encrypts, every one decrypts."""
    return _fernet(tuple(settings.FIELD_ENCRYPTION_KEYS))


class EncryptedJSONField(models.TextField):
    """A JSON value that the database only ever sees encrypted; `None` is stored as NULL.

    It cannot be filtered on. Lists that do not need it should `.defer()` it: each load decrypts.
    Raises `cryptography.fernet.InvalidToken` on load when no configured key fits.
    """

    # For the type checker: what goes in and comes out is any JSON value, not the column's text.
    _pyi_private_set_type: Any
    _pyi_private_get_type: Any

    def get_prep_value(self, value: Any) -> str | None:
        return None if value is None else fernet().encrypt(json.dumps(value).encode()).decode()

    def from_db_value(self, value: str | None, expression: Any, connection: Any) -> Any:
        return None if value is None else json.loads(fernet().decrypt(value.encode()))

    def to_python(self, value: Any) -> Any:
        return value

    def value_to_string(self, obj: models.Model) -> str:
        """Dumps (`manage.py dumpdata`) carry the ciphertext, never the secret."""
        return self.get_prep_value(self.value_from_object(obj)) or ""


class EncryptedBytesField(EncryptedJSONField):
    """Bytes that the database only ever sees packed and encrypted: what others sent us, kept as it came.

    Packed first, because afterwards nothing packs them: a booking then lies in its row instead of beside it.
    """

    def get_prep_value(self, value: Any) -> str | None:
        return None if value is None else fernet().encrypt(_packed(bytes(value))).decode()

    def from_db_value(self, value: str | None, expression: Any, connection: Any) -> Any:
        return None if value is None else zlib.decompress(fernet().decrypt(value.encode()))


def _packed(value: bytes) -> bytes:
    """With a window of 4 KB: setting up zlib's own of 32 KB costs four times what packing a booking does."""
    packer = zlib.compressobj(1, zlib.DEFLATED, 12, 5)
    return packer.compress(value) + packer.flush()

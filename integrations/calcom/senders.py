"""Companies as Cal.com knows them: by the name in the webhook's address, and by the secrets that sign."""

from collections import OrderedDict
from dataclasses import dataclass, field
from functools import lru_cache

from django.conf import settings
from django.db import connection

from integrations.models import CalcomSecret
from tenancy.models import Company

_SECRET = CalcomSecret._meta.get_field("secret")
_COMPANY_AND_SECRETS = f"""
    SELECT company.id, known.secret
    FROM {Company._meta.db_table} company LEFT JOIN {CalcomSecret._meta.db_table} known ON known.company_id = company.id
    WHERE company.url_id = %s ORDER BY known.id
"""  # noqa: S608 (names of our own tables)
# What `sealed` is, asked of the database for the row `company`.
SEALED_NOW = f"""
    SELECT coalesce(string_agg(known.secret, ' ' ORDER BY known.id), '')
    FROM {CalcomSecret._meta.db_table} known WHERE known.company_id = company.id
"""  # noqa: S608 (names of our own tables)
_REMEMBERED_MOST = 10_000
_remembered: OrderedDict[str, "Sender"] = OrderedDict()


@dataclass(frozen=True, slots=True)
class Sender:
    """A company and what signs its deliveries; no secrets: nothing does, and all are taken.

    sealed: the same secrets as the database has them, with a blank between; another text means that they changed.
    """

    company_pk: int
    url_id: str
    secrets: tuple[str, ...] = field(repr=False)
    sealed: str = field(repr=False)


def find(url_id: str) -> Sender | None:
    """The company of that address, or None; one query.

    By hand: this is asked for each delivery, and building the same query again took longer than answering it.
    """
    with connection.cursor() as cursor:
        cursor.execute(_COMPANY_AND_SECRETS, [url_id])
        rows = cursor.fetchall()
    if not rows:
        _remembered.pop(url_id, None)
        return None
    # Without secrets there is one row with none.
    sealed = [secret for _, secret in rows if secret is not None]
    keys = tuple(settings.FIELD_ENCRYPTION_KEYS)
    found = Sender(rows[0][0], url_id, tuple(_opened(secret, keys) for secret in sealed), " ".join(sealed))
    _remembered[url_id] = found
    if len(_remembered) > _REMEMBERED_MOST:
        _remembered.popitem(last=False)
    return found


def remembered(url_id: str) -> Sender | None:
    """What this process last found at that address. Whoever uses it has to ask whether it still holds: SEALED_NOW."""
    return _remembered.get(url_id)


def forget() -> None:
    """Drop what this process knows of companies."""
    _remembered.clear()


@lru_cache(maxsize=1024)
def _opened(ciphertext: str, keys: tuple[str, ...]) -> str:
    """The secret behind a ciphertext that was just read: one that is changed or deleted is not asked for again."""
    found: str = _SECRET.from_db_value(ciphertext, None, connection)
    return found

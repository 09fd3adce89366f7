"""How an account fares, in an operator's words: one word per account, and the same words as a filter."""

from typing import Any

from django.contrib.admin import SimpleListFilter
from django.db.models import Case, CharField, Exists, OuterRef, Q, QuerySet, Subquery, Sum, Value, When
from django.db.models.functions import Coalesce
from django.http import HttpRequest

from calendars.models import Calendar, CalendarAccount
from calendars.providers import ReconnectNeeded

PAUSED = "paused"
WAITING = "waits to be connected"
RECONNECT = "connect again"
FAILING = "failing"
HELD = "deletions held back"
FINE = "fine"

# What the lists colour them with.
COLOURS = {FINE: "success", PAUSED: "", WAITING: "info", RECONNECT: "danger", FAILING: "danger", HELD: "warning"}

_IS_HELD = Exists(Calendar.objects.filter(account=OuterRef("pk"), held_count__gt=0))
_ROWS = {
    RECONNECT: Q(sync_enabled=True, last_error_code=ReconnectNeeded.code),
    FAILING: Q(sync_enabled=True) & ~Q(last_error_code__in=("", ReconnectNeeded.code)),
    HELD: Q(_IS_HELD),
    WAITING: Q(sync_enabled=True, connected=False, last_error_code=""),
    PAUSED: Q(sync_enabled=False),
    FINE: Q(sync_enabled=True, connected=True, last_error_code="") & ~Q(_IS_HELD),
}
# In the order of a bar: what is well, what waits, what needs a person.
WORDS = (FINE, WAITING, PAUSED, HELD, FAILING, RECONNECT)
# Of the words that are true of an account, the one that matters most comes first.
_FIRST = (PAUSED, RECONNECT, FAILING, WAITING, HELD)
_HELD_COUNT = (
    Calendar.objects.filter(account=OuterRef("pk"))
    .order_by()
    .values("account")
    .annotate(total=Sum("held_count"))
    .values("total")
)


def with_held_count(accounts: QuerySet[CalendarAccount]) -> QuerySet[CalendarAccount]:
    """Each account with `held`: how many of its rows the brake holds."""
    return accounts.annotate(held=Coalesce(Subquery(_HELD_COUNT), 0))


def faring(accounts: QuerySet[CalendarAccount], health: str) -> QuerySet[CalendarAccount]:
    """The accounts of which this word is true; two words may be true of one account."""
    return accounts.filter(_ROWS[health])


def health_of(account: Any) -> str:
    """Of the words that are true of the account, which comes from `with_held_count`, the one that matters most."""
    if not account.sync_enabled:
        return PAUSED
    if account.last_error_code == ReconnectNeeded.code:
        return RECONNECT
    if account.last_error_code:
        return FAILING
    if not account.connected:
        return WAITING
    return HELD if account.held else FINE


def with_word(accounts: QuerySet[CalendarAccount]) -> QuerySet[Any]:
    """Each account with `word`: what `health_of` says, told by the database, so that it can be counted by."""
    cases = [When(_ROWS[word], then=Value(word)) for word in _FIRST]
    return accounts.annotate(word=Case(*cases, default=Value(FINE), output_field=CharField()))


class HealthFilter(SimpleListFilter):
    title = "health"
    parameter_name = "health"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(word, word.capitalize()) for word in _ROWS]

    def queryset(self, request: HttpRequest, queryset: QuerySet[CalendarAccount]) -> QuerySet[CalendarAccount]:
        word = self.value()
        return faring(queryset, word) if word in _ROWS else queryset

"""How long runs are kept."""

from datetime import timedelta

import pytest
from django.conf import LazySettings

from calendars.models import AccountRun, SyncRun
from calendars.services import runs
from tenancy.models import Company
from tests.calendars.mirror import MONDAY

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("keep_days", "left"),
    [(0, 4), (30, 3), (10, 2)],
    ids=["0 keeps all", "what was finished 30 days ago stays", "older goes, and what is not finished stays"],
)
def test_finished_runs_go_with_their_parts(settings: LazySettings, acme: Company, keep_days: int, left: int) -> None:
    settings.RUNS_KEEP_DAYS = keep_days
    for age in (31, 30, 1, None):
        began = MONDAY - timedelta(days=age or 400)
        run = SyncRun.objects.create(company=acme, started_at=began, finished_at=began if age else None)
        AccountRun.objects.create(run=run, account=None)
    assert runs.clear_old(now=MONDAY) == 4 - left
    assert SyncRun.objects.count() == AccountRun.objects.count() == left
    assert runs.clear_old(now=MONDAY) == 0

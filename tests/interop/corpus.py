"""Calendars that hold what readers stumble over, as rows of the ledger."""

from icsfeeds.rows import FeedRow
from tests.icsfeeds.ledger import row
from tests.icsfeeds.test_feed import SCRIPTS

_ZONES = ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "Africa/Casablanca",
          "America/Santiago", "Pacific/Apia", "UTC")  # fmt: skip
_RULES = (
    "FREQ=DAILY;COUNT=20", "FREQ=WEEKLY;BYDAY=MO,WE,FR;COUNT=60", "FREQ=WEEKLY;INTERVAL=2;BYDAY=TU,SU;WKST=SU;COUNT=20",
    "FREQ=MONTHLY;BYDAY=2TU;COUNT=9", "FREQ=MONTHLY;BYMONTHDAY=-1;COUNT=9", "FREQ=YEARLY;COUNT=2",
    "FREQ=DAILY;INTERVAL=3;UNTIL=20260901T120000Z", "FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1;COUNT=8",
    "FREQ=DAILY",
)  # fmt: skip


def _series() -> list[FeedRow]:
    found = []
    for number, (rule, zone) in enumerate((rule, zone) for rule in _RULES for zone in _ZONES):
        found.append(
            row("2026-01-13T08:30:00", uid=f"series-{number}", title=f"{rule} in {zone}", time_zone=zone,
                recurrence_rule=rule)
        )  # fmt: skip
    return found


def _overrides() -> list[FeedRow]:
    master = row("2026-03-02T09:00:00", uid="moved", title="weekly", time_zone="Europe/Berlin",
                 local_start="20260302T100000", recurrence_rule="FREQ=WEEKLY;COUNT=8",
                 exdates=["20260316T090000Z"], rdates=["20260318T120000Z"])  # fmt: skip
    moved = row("2026-03-10T15:00:00", uid="moved", title="a day later", recurrence_id="20260309T090000Z")
    gone = row("2026-03-23T09:00:00", uid="moved", title="gone", recurrence_id="20260323T090000Z", status="cancelled",
               fbtype="free")  # fmt: skip
    alone = row("2026-05-04T09:00:00", uid="orphan", title="alone", recurrence_id="20260504T080000Z")
    return [master, moved, gone, alone]


CORPUS: dict[str, list[FeedRow]] = {
    "texts in ten scripts": [
        row(f"2026-04-{day:02}T10:00:00", uid=f"text-{day}", title=text * 2, description=f"{text}\n{text}")
        for day, text in enumerate(SCRIPTS.values(), start=1)
    ],
    "hostile texts": [
        row(f"2026-04-{day:02}T10:00:00", uid=f"hostile-{day}", title=text)
        for day, text in enumerate(
            ["a;b,c\\d:e", "semi\\;colon\\n", '"quoted"', "BEGIN:VEVENT", "x" * 300, "é" * 200, "tab\tinside"], start=1
        )
    ],
    "once, in every zone": [
        row(f"2026-{month:02}-15T10:00:00", uid=f"once-{zone}-{month}", title=f"{zone} {month}", time_zone=zone)
        for zone in _ZONES
        for month in (1, 4, 7, 10)
    ],
    "around changes of the clock": [
        row("2026-03-28T01:30:00", uid="gap", title="gap", time_zone="Europe/Berlin", local_start="20260328T023000",
            recurrence_rule="FREQ=DAILY;COUNT=4"),
        row("2026-10-24T00:30:00", uid="twice", title="twice", time_zone="Europe/Berlin", local_start="20261024T023000",
            recurrence_rule="FREQ=DAILY;COUNT=4"),
        row("2026-03-28T22:00:00", "2026-03-29T06:00:00", uid="night", title="night", time_zone="Europe/Berlin",
            local_start="20260328T230000", recurrence_rule="FREQ=DAILY;COUNT=3"),
    ],
    "whole days": [
        row("2026-02-27T00:00:00", "2026-03-02T00:00:00", uid="days", title="long weekend", all_day=True),
        row("2026-06-01T00:00:00", uid="each", title="each Monday", all_day=True, recurrence_rule="FREQ=WEEKLY;COUNT=6",
            exdates=["20260615"]),
    ],
    "series in every zone": _series(),
    "overrides, dates taken out and added": _overrides(),
    "dates without a rule": [
        row("2026-03-02T09:00:00", uid="dates", title="dates", rdates=["20260305T090000Z", "20260309T110000Z"])
    ],
}  # fmt: skip

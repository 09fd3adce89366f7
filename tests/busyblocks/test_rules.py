"""Rules: what the grammar lets through, and that the walk yields what dateutil yields, only bounded."""

import random
from datetime import datetime, timedelta
from itertools import takewhile

import pytest
from dateutil.rrule import rrulestr

from busyblocks.errors import BudgetExceeded, RuleRefused
from busyblocks.recurrence import check_rule
from busyblocks.rules import Budget, parse, walk

REFUSED = [
    ("FREQ missing", "INTERVAL=2", "FREQ"),
    ("nothing", "", "RFC 5545"),
    ("every second", "FREQ=SECONDLY", "SECONDLY"),
    ("every minute", "FREQ=MINUTELY;COUNT=3", "MINUTELY"),
    ("no such frequency", "FREQ=FORTNIGHTLY", "FORTNIGHTLY"),
    ("never", "FREQ=DAILY;INTERVAL=0", "INTERVAL"),
    ("backwards", "FREQ=DAILY;INTERVAL=-1", "INTERVAL"),
    ("a number of a million digits", "FREQ=DAILY;INTERVAL=" + "9" * 1000, "INTERVAL"),
    ("no instance", "FREQ=DAILY;COUNT=0", "COUNT"),
    ("COUNT and UNTIL", "FREQ=DAILY;COUNT=3;UNTIL=20260101", "exclude"),
    ("another calendar", "RSCALE=CHINESE;FREQ=YEARLY", "RSCALE"),
    ("its companion", "FREQ=YEARLY;SKIP=OMIT", "RSCALE"),
    ("an unknown part", "FREQ=DAILY;BYEASTER=1", "BYEASTER"),
    ("a part twice", "FREQ=DAILY;COUNT=1;COUNT=2", "twice"),
    ("month 13", "FREQ=YEARLY;BYMONTH=13", "BYMONTH"),
    ("day 0", "FREQ=MONTHLY;BYMONTHDAY=0", "BYMONTHDAY"),
    ("day 32", "FREQ=MONTHLY;BYMONTHDAY=32", "BYMONTHDAY"),
    ("week 54", "FREQ=YEARLY;BYWEEKNO=54", "BYWEEKNO"),
    ("day 367 of the year", "FREQ=YEARLY;BYYEARDAY=367", "BYYEARDAY"),
    ("hour 24", "FREQ=DAILY;BYHOUR=24", "BYHOUR"),
    ("minute 60", "FREQ=DAILY;BYMINUTE=60", "BYMINUTE"),
    ("place 0", "FREQ=MONTHLY;BYDAY=MO;BYSETPOS=0", "BYSETPOS"),
    ("no weekday", "FREQ=WEEKLY;BYDAY=XX", "BYDAY"),
    ("the 0th Monday", "FREQ=MONTHLY;BYDAY=0MO", "BYDAY"),
    ("an empty list", "FREQ=WEEKLY;BYDAY=", "BYDAY"),
    ("no week start", "FREQ=WEEKLY;WKST=1", "WKST"),
    ("30 February", "FREQ=DAILY;UNTIL=20260230", "UNTIL"),
    ("no time", "FREQ=DAILY;UNTIL=tomorrow", "UNTIL"),
    ("digits of another script", "FREQ=DAILY;COUNT=٣", "COUNT"),
    ("every minute in disguise", "FREQ=HOURLY;BYMINUTE=" + ",".join(map(str, range(60))), "times a day"),
    ("every second hour twice", "FREQ=DAILY;BYHOUR=" + ",".join(map(str, range(24))) + ";BYMINUTE=0,30", "times a day"),
    ("two lines", "FREQ=DAILY\r\nRRULE:FREQ=DAILY", "FREQ"),
    ("too long", "FREQ=YEARLY;BYYEARDAY=" + ",".join(["1"] * 2000), "longer"),
]


@pytest.mark.parametrize(("sentence", "rule", "word"), REFUSED, ids=[row[0] for row in REFUSED])
def test_rule_is_refused_with_a_reason(sentence: str, rule: str, word: str) -> None:
    with pytest.raises(RuleRefused) as refusal:
        check_rule(rule)
    assert word in refusal.value.reason


ACCEPTED = [
    "FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR",
    "RRULE:FREQ=DAILY",
    "freq=daily;count=3",
    "FREQ=MONTHLY;BYDAY=2TU,-1FR;WKST=SU;",
    "INTERVAL=2;FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29;UNTIL=20400301T000000Z",
    "FREQ=HOURLY;INTERVAL=6",
    "FREQ=DAILY;BYSECOND=60",
]


@pytest.mark.parametrize("rule", ACCEPTED)
def test_rule_of_the_grammar_is_accepted(rule: str) -> None:
    check_rule(rule)


def _walked(rule: str, first: str, until: str, after: str = "0001-01-03") -> list[str]:
    walls = walk(
        parse(rule),
        datetime.fromisoformat(first),
        after=datetime.fromisoformat(after),
        until=datetime.fromisoformat(until),
        budget=Budget(50_000),
    )
    return [wall.strftime("%Y-%m-%d") for wall in walls]


MEANINGS = [
    ("COUNT takes in the DTSTART", "FREQ=DAILY;COUNT=2", ["2026-01-31", "2026-02-01"]),
    ("a month without a 31st has no instance", "FREQ=MONTHLY;COUNT=3", ["2026-01-31", "2026-03-31", "2026-05-31"]),
    ("the last day of each month", "FREQ=MONTHLY;BYMONTHDAY=-1;COUNT=3", ["2026-01-31", "2026-02-28", "2026-03-31"]),
    ("the last working day", "FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1;COUNT=3",
     ["2026-01-31", "2026-02-27", "2026-03-31"]),
    ("a DTSTART that the rule does not produce is an instance and counts", "FREQ=WEEKLY;BYDAY=MO;COUNT=3",
     ["2026-01-31", "2026-02-02", "2026-02-09"]),
    ("weekdays with and without an ordinal add up", "FREQ=MONTHLY;BYDAY=1MO,SA;COUNT=4",
     ["2026-01-31", "2026-02-02", "2026-02-07", "2026-02-14"]),
    ("BYWEEKNO alone takes the weekday of DTSTART", "FREQ=YEARLY;BYWEEKNO=20;COUNT=3",
     ["2026-01-31", "2026-05-16", "2027-05-22"]),
    ("an ordinal in a weekly rule means nothing", "FREQ=WEEKLY;BYDAY=1SA;COUNT=2", ["2026-01-31", "2026-02-07"]),
]  # fmt: skip


@pytest.mark.parametrize(("sentence", "rule", "expected"), MEANINGS, ids=[row[0] for row in MEANINGS])
def test_rule_from_saturday_31_january_2026(sentence: str, rule: str, expected: list[str]) -> None:
    assert _walked(rule, "2026-01-31 09:00", "2030-01-01") == expected


def test_leap_day_skips_the_year_2100() -> None:
    found = _walked("FREQ=YEARLY", "2096-02-29 09:00", "2110-01-01")
    assert found == ["2096-02-29", "2104-02-29", "2108-02-29"]


def test_week_start_decides_which_weeks_every_other_week_takes() -> None:
    """The RFC's own example (§3.8.5.3, "WKST")."""
    rule = "FREQ=WEEKLY;INTERVAL=2;COUNT=4;BYDAY=TU,SU;WKST="
    assert _walked(rule + "MO", "1997-08-05 09:00", "1998-01-01") == [
        "1997-08-05", "1997-08-10", "1997-08-19", "1997-08-24",
    ]  # fmt: skip
    assert _walked(rule + "SU", "1997-08-05 09:00", "1998-01-01") == [
        "1997-08-05", "1997-08-17", "1997-08-19", "1997-08-31",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("rule", "most"),
    [
        # Ten years old, one week asked for: the walk begins there.
        ("FREQ=DAILY", 30),
        ("FREQ=DAILY;INTERVAL=3", 30),
        ("FREQ=DAILY;COUNT=100000", 30),
        ("FREQ=WEEKLY;BYDAY=MO,WE;COUNT=100000", 40),
        ("FREQ=MONTHLY;BYDAY=2TU", 120),
        ("FREQ=HOURLY;COUNT=900000", 400),
    ],
)
def test_old_series_costs_what_the_span_costs(rule: str, most: int) -> None:
    budget = Budget(most)
    after = datetime(2026, 3, 1)
    list(walk(parse(rule), datetime(2016, 3, 1, 9), after=after, until=after + timedelta(days=7), budget=budget))
    assert budget.left >= 0


@pytest.mark.parametrize("rule", ["FREQ=HOURLY;BYMONTH=2;BYMONTHDAY=30", "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30;COUNT=2"])
def test_rule_that_yields_nothing_ends_with_the_budget(rule: str) -> None:
    with pytest.raises(BudgetExceeded):
        _walked(rule, "2026-01-01 09:00", "9999-12-29")


def test_walk_ends_with_the_year_9999() -> None:
    assert _walked("FREQ=YEARLY", "9990-06-01 09:00", "9999-12-31")[-1] == "9999-06-01"


_WEEKDAYS = ["MO", "TU", "WE", "TH", "FR", "SA", "SU"]


def _random_rule(dice: random.Random) -> str:
    freq = dice.choice(["YEARLY", "MONTHLY", "WEEKLY", "DAILY", "HOURLY"])
    parts = [f"FREQ={freq}"]

    def sometimes(chance: float, name: str, values: list[str]) -> None:
        if dice.random() < chance:
            parts.append(f"{name}={','.join(values)}")

    sometimes(0.4, "INTERVAL", [str(dice.randint(1, 5))])
    sometimes(0.4, "COUNT", [str(dice.randint(1, 60))])
    # dateutil reads a mixture of weekdays with and without ordinals as "and"; the RFC's list is an "or".
    ordinals = dice.choice([["1", "2", "-1", "5", "-2"], [""]]) if freq in {"YEARLY", "MONTHLY"} else [""]
    weekdays = sorted({dice.choice(ordinals) + dice.choice(_WEEKDAYS) for _ in range(3)})
    sometimes(0.4, "BYDAY", weekdays)
    sometimes(0.3, "BYMONTH", [str(month) for month in dice.sample(range(1, 13), 3)])
    sometimes(0.3, "BYMONTHDAY", [str(day) for day in dice.sample([1, 2, 15, 28, 29, 30, 31, -1, -2, -31], 2)])
    sometimes(0.1, "BYYEARDAY", [str(day) for day in dice.sample([1, 59, 60, 100, 200, 366, -1, -366], 3)])
    if freq == "YEARLY" and any(part.startswith("BYDAY") for part in parts):
        sometimes(0.25, "BYWEEKNO", [str(week) for week in dice.sample([1, 2, 20, 52, 53, -1, -53], 2)])
    if any(part.startswith("BY") for part in parts):
        sometimes(0.2, "BYSETPOS", dice.choice([["1"], ["-1"], ["2"], ["1", "-1"]]))
    sometimes(0.2, "WKST", [dice.choice(_WEEKDAYS)])
    if freq != "HOURLY":
        sometimes(0.1, "BYHOUR", ["9", "17"])
    return ";".join(parts)


def _by_dateutil(text: str, first: datetime, until: datetime) -> list[datetime]:
    """dateutil's instances, and the two things that we read otherwise: DTSTART comes first, and counts."""
    count = parse(text).count
    endless = rrulestr(text.replace(f";COUNT={count}", ""), dtstart=first, cache=False)
    # A year that never comes would keep dateutil looking until 9999: an own end does not stop it, a found one does.
    found = [first, *takewhile(lambda wall: wall <= until, (wall for wall in endless if wall != first))]
    return found[:count]


def test_walk_agrees_with_dateutil_on_200_rules_from_any_point_on() -> None:
    dice = random.Random(5545)
    compared = 0
    while compared < 200:
        text = _random_rule(dice)
        if ("HOURLY" in text and "BY" in text) or ("BYYEARDAY" in text and text.count("BY") > 1):
            continue  # dateutil searches some of these for minutes
        first = datetime(2020, 1, 1) + timedelta(hours=dice.randint(0, 24 * 700))
        after = first + timedelta(days=dice.randint(-100, 900))
        until = after + timedelta(days=dice.randint(1, 400))
        ours = list(walk(parse(text), first, after=after, until=until, budget=Budget(100_000)))
        theirs = [wall for wall in _by_dateutil(text, first, until) if after <= wall <= until]
        assert ours == theirs, (text, first, after, until)
        compared += 1

"""The differences that are known: docs/differences.md says of each which clause decides."""

CLOCK = "a length across a change of the clock"
GAP = "hours that are skipped or come twice"
LOCAL_UNTIL = "UNTIL without its zone"
DATE_UNTIL = "UNTIL is a date, DTSTART is none"
START = "a start outside of the rule"

# Implementation, and what a calendar must have for it to differ: all marks of one of the sets. By the name in the page.
KNOWN: dict[str, dict[str, list[set[str]]]] = {
    "recurring-ical-events": {
        CLOCK: [{"the clock changes inside an instance"}],
        GAP: [{"the clock changes near an instance"}],
        LOCAL_UNTIL: [{"UNTIL without its zone"}],
        DATE_UNTIL: [{"UNTIL is a date, DTSTART is none"}],
        START: [{"start outside of the rule", "COUNT"}],
        "a named instance takes another of its day with it": [
            {"BYHOUR", "EXDATE"},
            {"BYHOUR", "RECURRENCE-ID"},
            {"HOURLY", "EXDATE"},
            {"HOURLY", "RECURRENCE-ID"},
        ],
    },
    "ical.js": {
        CLOCK: [{"the clock changes inside an instance"}],
        GAP: [{"the clock changes near an instance"}],
        LOCAL_UNTIL: [{"UNTIL without its zone"}],
        DATE_UNTIL: [{"UNTIL is a date, DTSTART is none"}],
        START: [{"start outside of the rule"}],
        "periods": [{"RDATE is a period"}],
        "BYSETPOS": [{"BYSETPOS"}],
        "weeks by number": [{"BYWEEKNO"}],
        "ordinals of the year": [{"ordinals of the year"}],
        "BYMONTH of another FREQ": [{"BYMONTH of another FREQ", "INTERVAL"}],
        "COUNT beside BYMONTH": [{"BYMONTH of another FREQ", "COUNT"}],
        "BYMONTHDAY of another FREQ": [{"BYMONTHDAY of another FREQ"}],
        "29 February": [{"29 February", "YEARLY"}],
        "EXDATE of an RDATE": [{"EXDATE of an RDATE"}],
        "RANGE=THISANDFUTURE": [{"RANGE=THISANDFUTURE"}],
    },
    "node-ical": {
        CLOCK: [{"the clock changes inside an instance"}],
        GAP: [{"the clock changes near an instance"}],
        LOCAL_UNTIL: [{"UNTIL without its zone"}],
        DATE_UNTIL: [{"UNTIL is a date, DTSTART is none"}],
        START: [{"start outside of the rule"}],
        "dates beside a rule": [{"RDATE"}],
        "hours": [{"HOURLY"}],
        "a date in place of a time": [{"override with a date"}],
        "rules of this year": [{"rules of this year"}],
        "RANGE=THISANDFUTURE": [{"RANGE=THISANDFUTURE"}],
    },
}


# Of the corpus: implementation and file.
FILES = {
    ("recurring-ical-events", "apple-all-day-of-no-length-every-leap-day"): "dates that end as they begin",
    ("ical.js", "apple-all-day-of-no-length-every-leap-day"): "dates that end as they begin",
    ("node-ical", "apple-all-day-of-no-length-every-leap-day"): "dates that end as they begin",
    ("recurring-ical-events", "cancelled-instance-without-start"): "overrides without a start",
    ("ical.js", "cancelled-instance-without-start"): "overrides without a start",
    ("node-ical", "cancelled-instance-without-start"): "overrides without a start",
    ("recurring-ical-events", "series-with-every-kind-of-date"): "a date among the RDATEs of a timed series",
    ("ical.js", "lotus-dates-without-a-rule"): "the start of dates without a rule",
    ("node-ical", "override-of-an-all-day-series-that-became-an-hour"): "a time in place of a date",
}


def reason(implementation: str, name: str, marks: set[str]) -> str:
    """Why the implementation may differ about a calendar of this name, with these marks; "" if it may not."""
    if known := FILES.get((implementation, name)):
        return known
    for name, sets in KNOWN[implementation].items():
        if any(wanted <= marks for wanted in sets):
            return name
    return ""

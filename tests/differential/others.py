"""Implementations of recurrence that share no code with ours, nor with each other, and how they compare."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

from integrations.ical import NotUnderstood
from tests.differential.calendars import CANCELLED, Drawn, ours, special
from tests.differential.known import reason
from tests.interop.readers import Question, Seen, answers, by_icalendar, programs, shown

Other = Callable[[Sequence[Question]], list[list[Seen] | str]]


def implementations() -> dict[str, Other]:
    """recurring-ical-events (over dateutil), ical.js, and node-ical (over rrule-temporal); needs the npm registry once.

    Not sabre/vobject: the version that Debian has walks some of these rules without end.
    """
    commands = programs()
    others: dict[str, Other] = {name: partial(answers, commands[name]) for name in ("ical.js", "node-ical")}
    return {"recurring-ical-events": _by_icalendar, **others}


def _by_icalendar(questions: Sequence[Question]) -> list[list[Seen] | str]:
    found: list[list[Seen] | str] = []
    for text, start, end in questions:
        try:
            found.append(by_icalendar(text.encode(), start, end))
        except Exception as error:  # noqa: BLE001 (whatever it raises is its answer)
            found.append(f"{type(error).__name__}: {error}")
    return found


def expected(drawn: Drawn) -> list[Seen]:
    """Our instances that begin in the span, in the same form; raises NotUnderstood."""
    first, last = shown(drawn.span.start), shown(drawn.span.end)
    found = (
        (shown(one.start.date()), shown(one.end.date()), one.entry.title)
        if one.all_day
        else (shown(one.start), shown(one.end), one.entry.title)
        for one in ours(drawn)
    )
    return sorted(seen for seen in found if first[:10] <= seen[0][:10] and seen[0] < last)


@dataclass(slots=True)
class Comparison:
    """Of one implementation: calendars and instances found equal, those that are known to differ, and the rest."""

    calendars: int = 0
    instances: int = 0
    known: Counter[str] = field(default_factory=Counter)
    differing: list[str] = field(default_factory=list)


def compared(calendars: Sequence[Drawn]) -> dict[str, Comparison]:
    """By implementation. Calendars that we refuse are left out."""
    asked: list[tuple[Drawn, list[Seen], set[str]]] = []
    for drawn in calendars:
        try:
            asked.append((drawn, expected(drawn), special(drawn)))
        except NotUnderstood:
            continue
    questions = [(drawn.text, drawn.span.start, drawn.span.end) for drawn, _, _ in asked]
    found = {}
    for name, other in implementations().items():
        result = found[name] = Comparison()
        for (drawn, wanted, marks), answer in zip(asked, other(questions), strict=True):
            # What both the rule and an RDATE have is one instance (§3.8.5.2); ical.js tells of it twice.
            seen = answer if isinstance(answer, str) else sorted({one for one in answer if one[2] != CANCELLED})
            if seen == wanted:
                result.calendars += 1
                result.instances += len(wanted)
            elif why := reason(name, drawn.name, marks):
                result.known[why] += 1
            else:
                result.differing.append(_told(drawn, wanted, seen))
    return found


def _told(drawn: Drawn, wanted: list[Seen], seen: list[Seen] | str) -> str:
    events = drawn.text[drawn.text.index("BEGIN:VEVENT") :]
    if isinstance(seen, str):
        return f"{drawn.name}: fails: {seen}\n{events}"
    lacks, has = sorted(set(wanted) - set(seen))[:4], sorted(set(seen) - set(wanted))[:4]
    return f"{drawn.name}, {drawn.span.start} to {drawn.span.end}: lacks {lacks}, has {has}\n{events}"

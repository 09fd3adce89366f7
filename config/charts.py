"""Small bar charts of the last day, as the numbers that an SVG needs: the template draws, no script runs."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils.formats import number_format
from django.utils.translation import gettext as _

HOURS = 24
# The picture's own units; the page stretches it.
WIDTH, HEIGHT = 240, 64
_STEP = WIDTH // HOURS
_GAP = 2
_HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Bar:
    """One hour: where it stands in the picture, and what it says when it is pointed at."""

    x: int
    y: int
    width: int
    height: int
    text: str


@dataclass(frozen=True, slots=True)
class Chart:
    """A day by the hour. shown: the number that stands beside it. text: all of it, for who cannot see it."""

    title: str
    shown: str
    bars: list[Bar]
    text: str
    colour: str = "plain"
    width: int = WIDTH
    height: int = HEIGHT


def hours_until(now: datetime) -> list[datetime]:
    """The beginnings of the last 24 hours (UTC), the one of `now` last."""
    last = now.replace(minute=0, second=0, microsecond=0)
    return [last - _HOUR * back for back in reversed(range(HOURS))]


def chart(
    title: str,
    values: Mapping[datetime, float],
    *,
    now: datetime,
    shown: float | None = None,
    decimals: int = 0,
    colour: str = "plain",
) -> Chart:
    """The chart of these values by hour; an hour that is missing is 0.

    shown: the number beside it, else their sum. colour: plain, good or bad.
    """
    hours = hours_until(now)
    most = max((values.get(hour, 0) for hour in hours), default=0)
    bars = []
    for index, hour in enumerate(hours):
        value = values.get(hour, 0)
        # What is not nothing is seen, however small beside the others.
        height = max(2, round(HEIGHT * value / most)) if value else 1
        text = f"{hour:%H}:00 UTC: {number_format(value, decimals)}"
        bars.append(Bar(index * _STEP, HEIGHT - height, _STEP - _GAP, height, text))
    number = number_format(sum(values.get(hour, 0) for hour in hours) if shown is None else shown, decimals)
    peak = max(hours, key=lambda hour: values.get(hour, 0))
    text = _("%(title)s in the last 24 hours: %(number)s.") % {"title": title, "number": number}
    if most:
        text += " " + _("The most, %(most)s, from %(hour)s:00 UTC.") % {
            "most": number_format(most, decimals),
            "hour": f"{peak:%H}",
        }
    return Chart(title, number, bars, text, colour if most else "plain")

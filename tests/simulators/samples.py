"""What stands in the simulated calendars that are started by hand: a few events around today, for two people."""

from datetime import date, datetime, timedelta

from tests.simulators.google import GoogleSimulator, dates, timed
from tests.simulators.graph import GraphSimulator
from tests.simulators.graph.signin import CLIENT_ID, CLIENT_SECRET

ALICE, BOB = "alice@acme.example", "bob@acme.example"


def fill_google(google: GoogleSimulator) -> None:
    """Single events, a series with a moved and a cancelled instance, an all-day event, and a shared calendar."""
    monday = _monday()
    for email in (ALICE, BOB):
        google.add_account(email, time_zone="Europe/Berlin")
    series = timed(_at(monday, 0, 9), summary="Standup", zone="Europe/Berlin", recurrence=["RRULE:FREQ=WEEKLY"])
    google.put(ALICE, "standup", series)
    moved, cancelled = (f"{monday + timedelta(weeks=week):%Y-%m-%d}T09:00" for week in (1, 2))
    google.move_instance(
        ALICE, "standup", moved, timed(_at(monday, 7, 15), summary="Standup, moved", zone="Europe/Berlin")
    )
    google.cancel_instance(ALICE, "standup", cancelled)
    google.put(ALICE, "lunch", timed(_at(monday, 2, 12), summary="Lunch", zone="Europe/Berlin"))
    google.put(ALICE, "voyage", dates(f"{monday + timedelta(days=10)}", days=2, summary="Trip"))
    google.add_calendar("team@group.calendar.example", owner=ALICE, name="Team", time_zone="Europe/Berlin")
    review = timed(_at(monday, 3, 16), summary="Review", zone="Europe/Berlin")
    google.put("team@group.calendar.example", "review", review)


def fill_graph(graph: GraphSimulator) -> str:
    """A single event, and a series with a moved and a cancelled occurrence; the id of their calendar."""
    monday, zone = _monday(), "W. Europe Standard Time"
    calendar = graph.alice.add_calendar("Calendar")
    graph.alice.put("Calendar", "lunch", _at(monday, 1, 12), subject="Lunch", zone=zone)
    graph.alice.put_series("Calendar", "standup", _at(monday, 0, 9), count=26, subject="Standup", zone=zone)
    graph.alice.change_occurrence("Calendar", "standup", 2, _at(monday, 8, 15), subject="Standup, moved")
    graph.alice.delete_occurrence("Calendar", "standup", 3)
    graph.mailbox(BOB).add_calendar("Calendar")
    return calendar


def graph_settings(graph: GraphSimulator) -> dict[str, str]:
    """Environment variables of the service that lead its Outlook here."""
    return {
        "OUTLOOK_API_URL": graph.api_url,
        "OUTLOOK_AUTHORIZE_URL": graph.sign_in.authorize_url,
        "OUTLOOK_TOKEN_URL": graph.sign_in.token_url,
        "OUTLOOK_CLIENT_ID": CLIENT_ID,
        "OUTLOOK_CLIENT_SECRET": CLIENT_SECRET,
    }


def _monday() -> date:
    today = datetime.now().astimezone().date()
    return today - timedelta(days=today.weekday())


def _at(monday: date, day: int, hour: int) -> str:
    return f"{monday + timedelta(days=day):%Y-%m-%d}T{hour:02}:00"

"""Google Calendar and its authorization server, simulated: `GoogleSimulator`, `timed`, `dates`, `error`."""

from tests.simulators.google.events import dates, timed
from tests.simulators.google.server import GoogleSimulator, error

__all__ = ["GoogleSimulator", "dates", "error", "timed"]

"""Microsoft Graph and Microsoft's sign-in, as far as calendars are concerned, on loopback."""

from tests.simulators.graph.mailbox import Mailbox
from tests.simulators.graph.server import GraphSimulator

__all__ = ["GraphSimulator", "Mailbox"]

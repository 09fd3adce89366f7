"""What of a ledger a feed shows, and how much of it."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from icsfeeds.models import Detail, ICSToken


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """A token's choices, as far as they change what its events are; tokens that choose alike share prepared pieces.

    past_days, future_days: whole days before and after today, UTC; None: without end.
    """

    meetings: bool = True
    busy_blocks: bool = True
    synced: bool = False
    detail: str = Detail.FULL
    people: bool = False
    past_days: int | None = None
    future_days: int | None = None
    # In a team's feed each event tells whose it is, and two members of one meeting have two events.
    of_team: bool = False

    @property
    def busy_only(self) -> bool:
        return self.detail == Detail.BUSY

    def window(self, now: datetime) -> tuple[datetime | None, datetime | None]:
        """[start, end) of what is shown, UTC; None: without that bound. It moves at midnight."""
        today = datetime(now.year, now.month, now.day, tzinfo=UTC)
        start = None if self.past_days is None else today - timedelta(days=self.past_days)
        end = None if self.future_days is None else today + timedelta(days=self.future_days + 1)
        return start, end


def contents_of(token: ICSToken, *, of_team: bool) -> Contents:
    """What the token shows of each of its users."""
    return Contents(
        meetings=token.show_meetings,
        busy_blocks=token.show_busy_blocks,
        synced=token.include_synced,
        detail=token.detail,
        people=token.show_people and token.detail == Detail.FULL,
        past_days=token.past_days,
        future_days=token.future_days,
        of_team=of_team,
    )

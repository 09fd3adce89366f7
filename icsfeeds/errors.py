"""Why the feeds say no."""

from typing import ClassVar


class FeedError(Exception):
    """A feed could not be opened."""

    code: ClassVar[str] = "feed_error"


class NoSuchFeed(FeedError):
    """Nothing is read here; whether it is unknown, another company's, switched off or expired is not told."""

    code = "not_found"

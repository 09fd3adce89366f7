"""Guessing of feed addresses, slowed down by where it comes from; readers of real feeds never notice.

A token has 192 random bits, so no guess will ever be right: what is kept down here is what guessing costs. After
LIMIT wrong tokens within a minute an address is answered without a look into the database, but for tokens that were
right lately, whoever asks with them, and for one new token a second: behind a shared address sit good readers too.

All of it is this process's memory, and bounded: guessing writes no row and no key, and from however many addresses it
comes, one line a minute into the log.
"""

import threading
from collections import OrderedDict
from dataclasses import dataclass

import structlog

from tenancy.clients import network_of

LIMIT = 30
WINDOW_SECONDS = 60
_ADDRESSES_MOST = 10_000
_RIGHT_MOST = 50_000

log = structlog.get_logger("feed")


@dataclass(slots=True)
class _Guesser:
    since: float
    missed: int = 0
    asked_at: float = 0.0


@dataclass(slots=True)
class _Tally:
    """Since the last line in the log."""

    at: float = 0.0
    missed: int = 0
    refused: int = 0


_guessers: OrderedDict[str, _Guesser] = OrderedDict()
_right: OrderedDict[str, None] = OrderedDict()
_tally = _Tally()
_lock = threading.Lock()


def is_refused(address: str, digest: str, *, now: float) -> bool:
    """Whether the token of this digest need not be looked up. now: seconds since 1970."""
    if not _guessers:
        return False
    with _lock:
        guesser = _guessers.get(network_of(address))
        if guesser is None or now - guesser.since >= WINDOW_SECONDS or guesser.missed < LIMIT or digest in _right:
            return False
        if now - guesser.asked_at >= 1:
            guesser.asked_at = now
            return False
        _tally.refused += 1
    _tell(now)
    return True


def missed(address: str, *, now: float) -> None:
    """A token from there was wrong."""
    network = network_of(address)
    with _lock:
        guesser = _guessers.get(network)
        if guesser is None or now - guesser.since >= WINDOW_SECONDS:
            guesser = _guessers[network] = _Guesser(now)
        guesser.missed += 1
        _guessers.move_to_end(network)
        if len(_guessers) > _ADDRESSES_MOST:
            _guessers.popitem(last=False)
        _tally.missed += 1
    _tell(now)


def _tell(now: float) -> None:
    """The first wrong token is told of at once, and what follows it in one line a minute."""
    with _lock:
        if now - _tally.at < WINDOW_SECONDS:
            return
        missed, refused = _tally.missed, _tally.refused
        _tally.at, _tally.missed, _tally.refused = now, 0, 0
        networks = len(_guessers)
    log.warning("feed_addresses_wrong", looked_up=missed, refused=refused, networks=networks)


def was_right(digest: str) -> None:
    """A token of this digest opened a feed."""
    with _lock:
        _right[digest] = None
        _right.move_to_end(digest)
        if len(_right) > _RIGHT_MOST:
            _right.popitem(last=False)


def forget() -> None:
    """Begin anew."""
    with _lock:
        _guessers.clear()
        _right.clear()
        _tally.at, _tally.missed, _tally.refused = 0.0, 0, 0

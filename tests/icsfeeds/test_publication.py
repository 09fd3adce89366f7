"""When what was prepared is handed to the other processes."""

import pytest

from icsfeeds.pieces import piece
from icsfeeds.preparation import Kept, Prepared
from icsfeeds.publication import _is_worth_sharing


@pytest.mark.parametrize(
    ("changed", "shared"),
    [
        # Of sixteen pieces: a process that begins anew renders one of them sooner than all are written to the cache.
        (0, False),
        (1, False),
        (2, True),
        (16, True),
    ],
)
def test_what_has_changed_little_is_not_shared_again(changed, shared):
    kept = {f"{number:x}": Kept("", piece(b"")) for number in range(16)}
    newer = {name: Kept("new", piece(b"new")) for name in list(kept)[:changed]}
    before, after = Prepared(None, (), kept), Prepared(None, (), {**kept, **newer})

    assert _is_worth_sharing(before, after) is shared
    assert _is_worth_sharing(None, after) is True

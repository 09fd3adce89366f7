"""The ledger in the admin."""

from busyblocks.admin.blocks import BusyBlockAdmin
from busyblocks.admin.origins import OriginAdmin

__all__ = ["BusyBlockAdmin", "OriginAdmin"]

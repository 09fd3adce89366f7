"""What the exit codes of the operators' commands mean, for the scripts that call them."""

from enum import IntEnum


class Exit(IntEnum):
    """0: all is well. 1, as Django's: the command could not do its work. 2, as argparse's: it was called wrongly."""

    WELL = 0
    UNABLE = 1
    MISUSED = 2
    # Done, and something is wrong: accounts that failed, things that need a person.
    ATTENTION = 3
    # It goes on without the command.
    UNFINISHED = 4

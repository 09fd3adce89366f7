"""A progress bar on a terminal, for a command that waits."""

import sys
from typing import TextIO

_WIDTH = 30


class Bar:
    """One line that is written over. Where nobody watches (a pipe, a log), nothing is written."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = sys.stderr if stream is None else stream
        self._shown = 0
        self._watched = self._stream.isatty()

    def show(self, done: int, of: int, text: str) -> None:
        """`done` of `of`, and a text beside it."""
        if not self._watched:
            return
        filled = _WIDTH * done // of if of else _WIDTH
        line = f"[{'#' * filled}{'.' * (_WIDTH - filled)}] {done}/{of} {text}"
        self._stream.write("\r" + line.ljust(self._shown))
        self._stream.flush()
        self._shown = len(line)

    def clear(self) -> None:
        """Leave an empty line for what is said next."""
        if self._shown:
            self._stream.write("\r" + " " * self._shown + "\r")
            self._stream.flush()
            self._shown = 0

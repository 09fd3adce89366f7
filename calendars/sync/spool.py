"""What a provider said, kept on disk until all of it is there."""

import pickle
import tempfile
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Self

from busyblocks.entries import entry_from
from calendars.providers import Page, Resource

# Below this a read never touches the disk.
_IN_MEMORY_BYTES = 4 * 1024 * 1024
# Events that one batch of the mirror holds in memory, and in one statement.
BATCH_EVENTS = 1000


class Spool:
    """Pages in the order in which they came, read back in batches; memory does not grow with the calendar.

    The file has no name and goes with the process. Pickle is safe here: only this process writes it.
    """

    def __init__(self) -> None:
        self._file = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY_BYTES)  # noqa: SIM115 (closed by __exit__)
        self.empty = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def add(self, page: Page) -> None:
        self.empty = False
        pickle.dump(_flat(page), self._file, protocol=pickle.HIGHEST_PROTOCOL)

    def batches(self) -> Iterator[list[Page]]:
        """All pages, several at a time: each batch has at least BATCH_EVENTS events, but for the last."""
        self._file.seek(0)
        batch: list[Page] = []
        events = 0
        while True:
            try:
                page = _page(*pickle.load(self._file))  # noqa: S301 (written above)
            except EOFError:
                break
            batch.append(page)
            events += len(page.resources) + len(page.withheld) + len(page.removed) + len(page.present)
            if events >= BATCH_EVENTS:
                yield batch
                batch, events = [], 0
        if batch:
            yield batch


def _flat(page: Page) -> tuple[Any, ...]:
    """The page in plain tuples: pickled as it is, each of its values would be asked for its fields again."""
    resources = [
        (said.external_event_id, [entry.values() for entry in said.entries], said.etag, said.whole)
        for said in page.resources
    ]
    return resources, page.withheld, page.removed, page.present


def _page(resources: list[tuple[Any, ...]], withheld: Any, removed: Any, present: Any) -> Page:
    return Page(
        resources=tuple(
            Resource(
                external_event_id=event_id,
                entries=tuple(entry_from(values) for values in entries),
                etag=etag,
                whole=whole,
            )
            for event_id, entries, etag, whole in resources
        ),
        withheld=withheld,
        removed=removed,
        present=present,
    )

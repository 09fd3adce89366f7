"""What Cal.com has said of one booking, kept so that the order and the number of its messages do not matter.

The register of a uid (`MeetingUid.said`) holds for each part of the booking the newest word about it. Writing the same
word twice, or two words in either order, gives the same register: so however deliveries are shuffled or repeated, the
meeting that is derived from the registers ends the same. Nothing here knows the database.

    {"facts":    {part: [stamp, value]},      when, words, place, hosts, people, …: what each message may tell
     "repeated": {part: [stamp, value]},      the same, by messages about something else: where no fact is known
     "seats":    {email: [stamp, [taken, name]]},
     "absent":   {email: [stamp, true]},
     "marks":    {name: [stamp, value]},      payment, recording, …
     "confirmed": true, "accepted": true}     once said, they stay

What comes with an iCalSequence is kept beside what comes without one ("numbered facts", …), the newest of each: between
two numbers the number decides, and otherwise the clock. In one place the three of them could go round in a ring, each
newer than the next, and the order in which they came would decide.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

Register = dict[str, Any]
# The order in which messages count: [iCalSequence or null, the moment in which Cal.com said it].
Stamp = list[Any]
_NUMBERED = "numbered "


def stamp(said_at: datetime, sequence: int | None) -> Stamp:
    """The place of a message among those about one booking."""
    # Fixed width, so that texts compare as the moments do.
    return [sequence, said_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")]


def put(register: Register, kind: str, name: str, value: Any, at: Stamp) -> None:
    """Keep `value` unless something newer is known."""
    entries = register.setdefault(kind if at[0] is None else f"{_NUMBERED}{kind}", {})
    known = entries.get(name)
    if known is None or _is_newer([at, value], known):
        entries[name] = [at, value]


def entry_of(registers: Iterable[Register], kind: str, name: str) -> list[Any] | None:
    """The newest word in any of the registers, with its stamp; None: there is none."""
    numbered: Any = None
    plain: Any = None
    for register in registers:
        entry = register.get(f"{_NUMBERED}{kind}", {}).get(name)
        if entry is not None and (numbered is None or _is_newer(entry, numbered)):
            numbered = entry
        entry = register.get(kind, {}).get(name)
        if entry is not None and (plain is None or _is_newer(entry, plain)):
            plain = entry
    if numbered is None or plain is None:
        found: list[Any] | None = numbered or plain
        return found
    return plain if _is_newer(plain, numbered) else numbered  # type: ignore[no-any-return]


def newest(registers: Iterable[Register], kind: str, name: str) -> Any:
    """The newest word in any of the registers, or None."""
    entry = entry_of(registers, kind, name)
    return entry[1] if entry else None


def value_of(register: Register, kind: str, name: str) -> Any:
    """The newest word, or None."""
    return newest([register], kind, name)


def told(register: Register, part: str) -> list[Any] | None:
    """The newest fact of the booking with its stamp, else what messages about something else repeat of it."""
    return entry_of([register], "facts", part) or entry_of([register], "repeated", part)


@dataclass(frozen=True, slots=True)
class Taken:
    """The seats of a booking: who has one, with their names, and whether the last of them was given back."""

    people: list[list[str]]
    all_left: bool


def seats(register: Register) -> Taken:
    entries = register.get("seats", {})
    people = [[email, name] for email, (_, (taken, name)) in sorted(entries.items()) if taken]
    return Taken(people, bool(entries) and not people)


def _is_newer(one: list[Any], other: list[Any]) -> bool:
    """Whether one [stamp, value] comes after another. A higher iCalSequence is later whatever the clocks say; what
    was said in the same instant is ordered by its text, so that at least everybody ends with the same."""
    (sequence, said_at), (other_sequence, other_said_at) = one[0], other[0]
    if sequence is not None and other_sequence is not None and sequence != other_sequence:
        return bool(sequence > other_sequence)
    if said_at != other_said_at:
        return bool(said_at > other_said_at)
    return _text(one[1]) > _text(other[1])


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True)

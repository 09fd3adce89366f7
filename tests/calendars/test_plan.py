"""The mirror's plan is a truth table: what the remote says, what is stored, what then."""

from dataclasses import replace

from busyblocks.entries import Entry
from calendars.providers import Page, Resource, Withheld
from calendars.sync.brake import Shown
from calendars.sync.plan import Actions, StoredRow, last_words, plan
from tests.contracts import memory

LUNCH = replace(memory.entry("2026-03-02T12:00", title="Lunch"), external_event_id="lunch", etag="1")
MASTER = replace(
    memory.entry("2026-03-02T09:00", title="Standup", recurrence_rule="FREQ=DAILY"),
    external_event_id="standup",
    etag="1",
)
MOVED = replace(MASTER, recurrence_rule="", recurrence_id="20260303T090000Z", title="Standup, moved")


def said(*entries: Entry, whole: bool = True) -> Resource:
    return Resource(external_event_id=entries[0].external_event_id, entries=entries, etag=entries[0].etag, whole=whole)


def planned(*stored: StoredRow, page: Page) -> Actions:
    by_event: dict[str, list[StoredRow]] = {}
    for row in stored:
        by_event.setdefault(row.entry.external_event_id, []).append(row)
    return plan(by_event, last_words([page]))


def test_unknown_event_is_created() -> None:
    actions = planned(page=Page(resources=(said(LUNCH),)))
    assert (actions.create, actions.created_events) == ([LUNCH], 1)


def test_series_with_an_override_counts_as_one_event() -> None:
    actions = planned(page=Page(resources=(said(MASTER, MOVED),)))
    assert (len(actions.create), actions.created_events) == (2, 1)


def test_same_event_changes_nothing() -> None:
    actions = planned(StoredRow(7, LUNCH), page=Page(resources=(said(LUNCH),)))
    assert actions == Actions()


def test_new_etag_alone_is_noted_and_is_no_change() -> None:
    actions = planned(StoredRow(7, LUNCH), page=Page(resources=(said(replace(LUNCH, etag="2")),)))
    assert (len(actions.touch), actions.updated_events, actions.changes_anything) == (1, 0, False)


def test_changed_value_updates_the_row_in_place() -> None:
    late = replace(LUNCH, title="Late lunch", etag="2")
    actions = planned(StoredRow(7, LUNCH), page=Page(resources=(said(late),)))
    assert (actions.update, actions.updated_events) == ([(7, late)], 1)


def test_override_that_a_whole_event_lacks_is_deleted() -> None:
    actions = planned(StoredRow(7, MASTER), StoredRow(8, MOVED), page=Page(resources=(said(MASTER),)))
    assert (actions.delete, actions.updated_events, actions.deleted_events) == ([8], 1, 0)


def test_override_that_a_partial_event_lacks_stays() -> None:
    actions = planned(StoredRow(7, MASTER), StoredRow(8, MOVED), page=Page(resources=(said(MASTER, whole=False),)))
    assert actions == Actions()


def test_removed_event_loses_all_its_rows_and_counts_once() -> None:
    actions = planned(StoredRow(7, MASTER), StoredRow(8, MOVED), page=Page(removed=("standup",)))
    assert (actions.delete, actions.deleted_events) == ([7, 8], 1)


def test_removal_of_an_unknown_event_is_nothing() -> None:
    assert planned(page=Page(removed=("nobody",))) == Actions()


def test_withheld_event_keeps_its_rows() -> None:
    withheld = Withheld(external_event_id="lunch", reason="unreadable")
    assert planned(StoredRow(7, LUNCH), page=Page(withheld=(withheld,))) == Actions()


def test_event_that_became_no_event_is_deleted() -> None:
    page = Page(resources=(Resource(external_event_id="lunch", entries=(), etag="2"),))
    actions = planned(StoredRow(7, LUNCH), page=page)
    assert (actions.delete, actions.deleted_events) == ([7], 1)


def test_last_word_on_an_event_counts() -> None:
    late = replace(LUNCH, title="Late lunch", etag="2")
    words = last_words([Page(resources=(said(LUNCH),)), Page(removed=("lunch",)), Page(resources=(said(late),))])
    assert (words.resources["lunch"].entries, words.removed) == ((late,), set())


def test_removal_after_the_entries_wins() -> None:
    words = last_words([Page(resources=(said(LUNCH),)), Page(removed=("lunch",))])
    assert (words.resources, words.removed) == ({}, {"lunch"})


def test_partial_words_on_one_event_add_up() -> None:
    words = last_words([Page(resources=(said(MASTER, whole=False),)), Page(resources=(said(MOVED, whole=False),))])
    assert set(words.resources["standup"].entries) == {MASTER, MOVED}


def test_row_that_the_brake_held_returns_when_the_remote_shows_it() -> None:
    actions = planned(StoredRow(7, LUNCH, absent=True), page=Page(resources=(said(LUNCH),)))
    assert (actions.returned, actions.changes_anything) == ([7], False)


WITHHELD = Withheld(external_event_id="standup", reason="It recurs by several rules at once.")


def test_overrides_are_written_though_their_master_is_withheld_whichever_comes_first() -> None:
    overrides = Page(resources=(said(MOVED, whole=False),))
    for pages in ([Page(withheld=(WITHHELD,)), overrides], [overrides, Page(withheld=(WITHHELD,))]):
        words = last_words(pages)
        assert words.withheld == {"standup": WITHHELD}
        assert plan({"standup": [StoredRow(7, MASTER)]}, words).create == [MOVED]


def test_master_understood_later_is_not_withheld_any_more() -> None:
    words = last_words([Page(withheld=(WITHHELD,)), Page(resources=(said(MASTER, whole=False),))])
    assert (words.withheld, set(words.resources)) == ({}, {"standup"})


def test_what_a_full_read_shows_of_an_event_is_all_its_parts_together() -> None:
    shown = Shown()
    shown.add(last_words([Page(resources=(said(MOVED, whole=False),))]))
    shown.add(last_words([Page(resources=(said(MASTER, whole=False), said(LUNCH)))]))
    assert [shown.has("standup", instance) for instance in ("", "20260303T090000Z", "20260304T090000Z")] == [
        True,
        True,
        False,
    ]
    assert shown.has("lunch", "")
    assert not shown.has("dinner", "")


def test_nothing_is_absent_from_a_withheld_event() -> None:
    shown = Shown()
    shown.add(last_words([Page(resources=(said(MOVED, whole=False),))]))
    shown.add(last_words([Page(withheld=(WITHHELD,))]))
    shown.add(last_words([Page(resources=(said(MOVED, whole=False),))]))
    assert shown.has("standup", "20260304T090000Z")

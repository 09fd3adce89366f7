"""`make demo`: the whole service on one machine, with two sample calendars behind a real CalDAV server."""

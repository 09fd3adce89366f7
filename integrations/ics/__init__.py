"""Remote ICS feeds: calendars that are one file at an address, read whole and never written."""

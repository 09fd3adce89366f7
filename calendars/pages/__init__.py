"""The connect page: where people without a login connect their calendars and choose what is mirrored."""

"""As config/formats/en: a time never stands without its zone."""

DATETIME_FORMAT = "j. F Y, H:i e"

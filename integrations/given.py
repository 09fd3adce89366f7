"""What people give to connect with: texts that a provider can use, or the name of the field that it cannot."""

from typing import Any

from calendars.providers import BadProviderData


def given_text(provider_data: dict[str, Any], field: str, longest: int) -> str:
    """The text under `field`, "" for none; a password as it is, everything else without blanks around it.

    Raises `BadProviderData` for what is no text, is longer than `longest` characters or cannot be printed.
    """
    value = provider_data.get(field)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise BadProviderData(field, "This must be a text.")
    if len(value) > longest:
        raise BadProviderData(field, f"This is longer than {longest} characters.")
    if not value.isprintable():
        raise BadProviderData(field, "This holds characters that cannot be printed.")
    return value if field == "password" else value.strip()

"""The texts of the pages in other languages: `python -m tests.messages` brings locale/*.po up to date and compiles it.

New texts come in empty, texts that nobody asks for go. tests/config/test_messages.py holds that nothing is left empty.
"""

import io
from collections.abc import Iterator
from pathlib import Path

import polib
from babel.messages.extract import extract
from django.utils.translation.template import templatize

from config.env import BASE_DIR

LANGUAGES = ("de",)
# What people without a login read. The admin speaks English.
_TEMPLATES = ("templates/base.html", "templates/pages/*.html", "templates/oauth/*.html")
_MODULES = (
    "tenancy/pages.py",
    "calendars/pages/*.py",
    "icsfeeds/pages.py",
    "integrations/oauth/states.py",
    "integrations/oauth/views.py",
)
_KEYWORDS = {"_": None, "gettext": None, "gettext_lazy": None, "ngettext": (1, 2)}

Text = str | tuple[str, str]


def texts() -> dict[Text, list[str]]:
    """Every text that can be translated → the files in which it stands; of plurals both forms."""
    found: dict[Text, list[str]] = {}
    for path, source in _sources():
        for _, message, _, _ in extract("python", io.BytesIO(source.encode()), keywords=_KEYWORDS):
            text: Text = message if isinstance(message, str) else (message[0], message[1])
            places = found.setdefault(text, [])
            if path not in places:
                places.append(path)
    return found


def catalogue(language: str) -> Path:
    return BASE_DIR / "locale" / language / "LC_MESSAGES" / "django.po"


def update(language: str) -> polib.POFile:
    """The catalogue with every text of now, known translations kept; written, and compiled beside it."""
    path = catalogue(language)
    known = polib.pofile(str(path)) if path.exists() else polib.POFile()
    new = polib.POFile(wrapwidth=118)
    new.metadata = {
        "Content-Type": "text/plain; charset=UTF-8",
        "Content-Transfer-Encoding": "8bit",
        "Language": language,
        "Plural-Forms": "nplurals=2; plural=(n != 1);",
    }
    for text, places in sorted(texts().items(), key=lambda item: (item[1][0], str(item[0]))):
        single, plural = (text, "") if isinstance(text, str) else text
        old = known.find(single)
        entry = polib.POEntry(
            msgid=single,
            msgid_plural=plural,
            msgstr=old.msgstr if old and not plural else "",
            msgstr_plural=(old.msgstr_plural if old else {}) or ({0: "", 1: ""} if plural else {}),
            occurrences=[(place, "") for place in places],
            flags=["python-format"] if "%(" in single else [],
        )
        new.append(entry)
    path.parent.mkdir(parents=True, exist_ok=True)
    new.save(str(path))
    new.save_as_mofile(str(path.with_suffix(".mo")))
    return new


def _sources() -> Iterator[tuple[str, str]]:
    """Path and Python that says the same, so far as texts go."""
    for pattern in _TEMPLATES:
        for path in sorted(BASE_DIR.glob(pattern)):
            yield str(path.relative_to(BASE_DIR)), templatize(path.read_text(encoding="utf-8"), origin=str(path))
    for pattern in _MODULES:
        for path in sorted(BASE_DIR.glob(pattern)):
            yield str(path.relative_to(BASE_DIR)), path.read_text(encoding="utf-8")


if __name__ == "__main__":
    for name in LANGUAGES:
        left = update(name).untranslated_entries()
        print(f"{name}: {len(left)} texts without a translation.")
        for one in left:
            print(f"  {one.msgid}")

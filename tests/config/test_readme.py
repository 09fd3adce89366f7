"""The README says what is."""

import ast
import re

from config.env import BASE_DIR
from tests.screenshots import FOLDER, MOST_BYTES

README = (BASE_DIR / "README.md").read_text()


def variables_that_settings_read():
    tree = ast.parse((BASE_DIR / "config" / "settings.py").read_text())
    yield "DATABASE_URL"
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
            module, name = node.func.value, node.args[0]
            if isinstance(module, ast.Name) and module.id == "env" and isinstance(name, ast.Constant):
                yield name.value


def test_configuration_table_names_exactly_the_variables_that_settings_read():
    named = re.findall(r"^\| `([A-Z_]+)` \|", README, re.MULTILINE)
    assert sorted(named) == sorted(set(variables_that_settings_read()))


def test_every_link_to_a_file_leads_somewhere():
    for page in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md"):
        for target in re.findall(r"\]\(([^):#]+)\)", (BASE_DIR / page).read_text()):
            assert (BASE_DIR / target).exists(), f"{page}: {target}"


def test_pictures_are_there_and_small_and_say_what_they_show():
    pictures = re.findall(r"!\[([^\]]*)\]\(([^)]+)\)", README)
    assert pictures
    for words, path in pictures:
        assert words
        assert (BASE_DIR / path).stat().st_size <= MOST_BYTES, path
    shown = {(BASE_DIR / path).name for _, path in pictures}
    assert shown == {path.name for path in FOLDER.glob("*.png")}

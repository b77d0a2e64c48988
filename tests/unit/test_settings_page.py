"""docs/settings.md and the settings say the same; a failure prints the lines to paste."""

from app.settings import Settings
from tests.support.settings_page import ALL, GROUPS, tables, tables_on_the_page


def test_every_setting_says_what_it_means() -> None:
    assert not [name for name, field in ALL.items() if not field.description]


def test_every_setting_belongs_to_one_group() -> None:
    assert sorted(name for group in GROUPS[:-1] for name in group.model_fields) == sorted(Settings.model_fields)


def test_the_page_has_every_setting_as_it_is_and_no_other() -> None:
    page, wanted = tables_on_the_page(), tables()
    missing = [line for line in wanted if line not in page]
    too_much = [line for line in page if line not in wanted]
    assert page == wanted, "\n".join(
        [
            "docs/settings.md lacks, or has in another form or order:",
            *missing,
            "it has, but should not:",
            *too_much,
            "`python -m tests.support.settings_page` puts it right",
        ]
    )

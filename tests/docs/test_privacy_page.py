"""docs/privacy.md is what the inventory says."""

from onetime.core import inventory
from tests.docs import privacy_page


def test_the_page_is_made_from_the_inventory() -> None:
    assert privacy_page.PAGE.read_text() == privacy_page.page(), (
        "run: python -m tests.docs.privacy_page"
    )


def test_the_page_names_every_field() -> None:
    text = privacy_page.PAGE.read_text()
    for field in inventory.FIELDS:
        assert f"| `{field.name}` | {field.what} |" in text, field.name

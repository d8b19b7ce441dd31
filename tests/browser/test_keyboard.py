"""Whole journeys without a mouse, where the focus goes, and what is announced."""

import pytest

from tests.browser.conftest import Visit
from tests.browser.place import Place
from tests.browser.visitor import PASSPHRASE, SECRET, Visitor

# Every element that the Tab key may reach, as the document has it.
IN_ORDER = """() => [...document.querySelectorAll(
    'a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex="0"]'
)].filter((each) => each.checkVisibility({ visibilityProperty: true }) && !each.disabled).filter(
    (each) => each.type !== 'radio' || each.checked
).map((each) => each.outerHTML.slice(0, 120))"""
FOCUSED = "() => document.activeElement.outerHTML.slice(0, 120)"
VISIBLE_FOCUS = """() => {
    const own = document.activeElement;
    const label = own.classList.contains('unseen') ? own.nextElementSibling : own;
    return getComputedStyle(label).outlineStyle !== 'none' || own.matches('[tabindex="-1"]');
}"""


def tab_to(visitor: Visitor, selector: str) -> None:
    """By the Tab key alone."""
    for _ in range(40):
        if visitor.page.evaluate("(wanted) => document.activeElement.matches(wanted)", selector):
            return
        visitor.page.keyboard.press("Tab")
    raise AssertionError(f"the Tab key does not lead to {selector}")


def press(visitor: Visitor, selector: str, key: str = "Enter") -> None:
    tab_to(visitor, selector)
    visitor.page.keyboard.press(key)


def test_from_the_form_to_the_secret_without_a_mouse(visit: Visit, script: bool) -> None:
    with visit(script=script, strict=False) as visitor:
        from_the_form_to_the_secret(visitor)


def from_the_form_to_the_secret(visitor: Visitor) -> None:
    visitor.open()
    tab_to(visitor, "#secret")
    visitor.page.keyboard.type(SECRET)
    tab_to(visitor, "#passphrase")
    visitor.page.keyboard.type(PASSPHRASE)
    press(visitor, "#share button.first")
    visitor.page.wait_for_selector("#link")
    assert visitor.focused == "done"
    link = visitor.page.input_value("#link")
    visitor.open_link(link)
    visitor.arrive("This secret has a passphrase")
    tab_to(visitor, "#passphrase")
    visitor.page.keyboard.type("guess")
    visitor.page.keyboard.press("Enter")
    visitor.page.wait_for_selector(".wrong:visible")
    assert visitor.focused in {"wrong", "passphrase-wrong"}
    tab_to(visitor, "#passphrase")
    visitor.page.keyboard.type(PASSPHRASE)
    press(visitor, "#show button.first")
    visitor.page.wait_for_selector("pre#secret")
    assert visitor.focused == "done"
    assert visitor.page.locator("pre#secret").text_content() == SECRET


def test_a_password_is_made_without_a_mouse(visitor: Visitor) -> None:
    visitor.open()
    tab_to(visitor, "[name=kind]")
    visitor.page.keyboard.press("ArrowRight")
    tab_to(visitor, "[name=length]")
    visitor.page.keyboard.press("ArrowDown")
    press(visitor, "#share button.first")
    visitor.page.wait_for_selector("#value")
    assert len(visitor.page.locator("#value").text_content() or "") == 24


@pytest.mark.parametrize("key", ["Enter", "Space"])
def test_a_secret_is_destroyed_without_a_mouse(key: str, visitor: Visitor, place: Place) -> None:
    _, receipt = place.share()
    visitor.open(f"receipt/{receipt}")
    press(visitor, "summary", key)
    press(visitor, "details[open] button", key)
    visitor.page.wait_for_selector("h1:text('Destroyed unread')")


def test_the_skip_link_leads_past_the_head(visitor: Visitor) -> None:
    visitor.open()
    visitor.page.keyboard.press("Tab")
    assert visitor.page.evaluate("() => document.activeElement.className") == "skip"
    box = visitor.page.locator(".skip").bounding_box()
    assert box
    assert box["width"] > 40
    visitor.page.keyboard.press("Enter")
    visitor.page.keyboard.press("Tab")
    assert visitor.page.evaluate("() => document.activeElement.closest('main') !== null")


@pytest.mark.parametrize("path", ["", "secret", "receipt", "info/about"])
def test_the_tab_key_follows_the_document_and_is_seen(
    path: str, visitor: Visitor, place: Place
) -> None:
    key, receipt = place.share(passphrase=PASSPHRASE)
    visitor.open({"secret": f"secret/{key}", "receipt": f"receipt/{receipt}"}.get(path, path))
    wanted = visitor.page.evaluate(IN_ORDER)
    assert len(wanted) > 5
    for each in wanted:
        visitor.page.keyboard.press("Tab")
        assert visitor.page.evaluate(FOCUSED) == each
        assert visitor.page.evaluate(VISIBLE_FOCUS), each


def test_an_error_takes_the_focus_and_leads_to_its_field(visitor: Visitor) -> None:
    visitor.open()
    visitor.write("  " + SECRET, "abc")
    visitor.page.select_option("#ttl", "3600")
    visitor.page.focus("#passphrase")
    visitor.page.keyboard.press("Enter")
    visitor.page.wait_for_selector("#summary:visible")
    assert visitor.page.title().startswith("Error: Make the passphrase at least 4 characters long")
    assert visitor.focused == "summary"
    assert visitor.page.input_value("#secret") == "  " + SECRET
    assert visitor.page.input_value("#passphrase") == "abc"
    assert visitor.page.input_value("#ttl") == "3600"
    press(visitor, "#summary a")
    assert visitor.focused == "passphrase"
    described = visitor.page.get_attribute("#passphrase", "aria-describedby") or ""
    words = [visitor.page.inner_text(f"#{each}") for each in described.split()]
    assert words[0] == "Make the passphrase at least 4 characters long"
    field = visitor.page.locator(".field.bad > *")
    assert [each.evaluate("(it) => it.localName") for each in field.all()][:3] == [
        "label",
        "p",
        "div",
    ]


def test_a_wrong_choice_of_a_generated_password_keeps_the_others(visitor: Visitor) -> None:
    visitor.open()
    visitor.page.click("label[for=kind-generate]")
    visitor.page.get_by_label("With symbols").uncheck()
    visitor.page.fill("#passphrase", "abc")
    visitor.send()
    visitor.page.wait_for_selector("#summary:visible")
    assert visitor.page.is_checked("#kind-generate")
    assert not visitor.page.get_by_label("With symbols").is_checked()


def test_copying_is_announced_and_keeps_the_focus(visit: Visit, place: Place) -> None:
    with visit(permissions=["clipboard-read", "clipboard-write"]) as visitor:
        link = visitor.share()
        said = visitor.page.locator("#link-said")
        assert said.get_attribute("role") == "status"
        assert said.text_content() == ""
        press(visitor, "[data-copies=link]")
        visitor.page.wait_for_selector("#link-said:has-text('Copied. Now send it to one person.')")
        assert visitor.page.evaluate("() => document.activeElement.dataset.copies") == "link"
        assert visitor.page.evaluate("() => navigator.clipboard.readText()") == link


def test_copying_that_fails_selects_the_text_and_says_so(visit: Visit) -> None:
    with visit() as visitor:
        link = visitor.share()
        visitor.page.evaluate(
            "() => { document.execCommand = () => false;"
            " navigator.clipboard.writeText = () => Promise.reject(new Error('no')); }"
        )
        visitor.page.click("[data-copies=link]")
        visitor.page.wait_for_selector("#link-said:has-text('copy it by hand')")
        selected = "() => { const it = document.activeElement; return it.value.slice(it.selectionStart, it.selectionEnd) }"
        assert visitor.page.evaluate(selected) == link


def test_a_passphrase_can_be_shown_and_hidden(visit: Visit) -> None:
    with visit() as visitor:
        visitor.open()
        visitor.page.fill("#passphrase", PASSPHRASE)
        button = visitor.page.locator("[data-shows=passphrase]")
        assert visitor.page.get_attribute("#passphrase", "type") == "password"
        press(visitor, "[data-shows=passphrase]", "Space")
        assert visitor.page.get_attribute("#passphrase", "type") == "text"
        assert button.get_attribute("aria-pressed") == "true"
        visitor.page.keyboard.press("Space")
        assert visitor.page.get_attribute("#passphrase", "type") == "password"


def test_characters_and_bytes_are_counted(visit: Visit) -> None:
    with visit() as visitor:
        visitor.open()
        assert not visitor.page.is_visible("#count")
        visitor.page.fill("#secret", "їжак 👩‍👩‍👧‍👦")
        assert visitor.page.inner_text("#count").startswith("Characters: 6, 34 bytes")
        assert not visitor.page.is_visible("#too-large")
        visitor.page.fill("#secret", "x" * 100_001)
        assert visitor.page.is_visible("#too-large")
        assert visitor.page.inner_text("#count").startswith("Characters: 100,001, 100,001 bytes")


def test_what_has_been_refused_is_not_said_twice(visit: Visit) -> None:
    with visit() as visitor:
        visitor.open()
        visitor.write("x" * 100_001)
        visitor.send()
        visitor.page.wait_for_selector("#secret-wrong:visible")
        assert not visitor.page.is_visible("#too-large")
        visitor.page.fill("#secret", "x" * 100_002)
        assert visitor.page.is_visible("#too-large")

"""axe-core, run in the page that is shown. It waits by timers, so it needs script."""

from functools import cache

from playwright.sync_api import Page

from tests import needs

# What the three versions of WCAG ask at A and AA, and what is good practice beyond them.
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
RUN = """(run) => axe.run(document, { runOnly: run, resultTypes: ['violations'] }).then(
    ({ violations }) => violations.flatMap((each) => each.nodes.map(
        (node) => `${each.id}: ${node.html.slice(0, 160)} (${node.failureSummary})`)))"""


@cache
def source() -> str:
    return (needs.node_packages() / "axe-core" / "axe.min.js").read_text()


def violations(page: Page, rules: tuple[str, ...] = ()) -> list[str]:
    """Of these rules, or of all that belong to TAGS."""
    run = {"type": "rule", "values": list(rules)} if rules else {"type": "tag", "values": TAGS}
    if not page.evaluate("() => 'axe' in window"):
        page.evaluate(source() + "; 0")
    found: list[str] = page.evaluate(RUN, run)
    return found


def broken(page: Page) -> list[str]:
    """The same, of a page that has been spoilt: a checker that finds nothing must be able to."""
    page.evaluate(
        "() => { document.querySelector('h1').style.color = '#ddd';"
        " document.querySelector('label').remove(); }"
    )
    return violations(page)

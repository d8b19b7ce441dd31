"""docs/privacy.md, made from the inventory. A test keeps the file equal to what this makes.

python -m tests.docs.privacy_page
"""

from collections.abc import Iterable

from onetime.core import inventory
from onetime.core.inventory import Category, Field, Place
from tests import needs

PAGE = needs.ROOT / "docs" / "privacy.md"

PLACES = {
    Place.VAULT: "In the vault, by table and column.",
    Place.FILE: "Files in the data directory; only the service's own user can read them.",
    Place.LOG: "One JSON object a line on standard error, of these fields alone.",
    Place.METRICS: "`/metrics`, with all of its labels.",
    Place.HEADER: "Sent with answers.",
    Place.REQUEST: "Used and not kept.",
    Place.BROWSER: "Outside this program.",
}

HEAD = """# Privacy

<!-- Made from src/onetime/core/inventory.py: python -m tests.docs.privacy_page -->

What Onetime keeps, why, for how long, and who can read it. The page `/info/privacy` says the same. Both are made from one
list in the code, and tests hold that list against the schema of a real vault, the log, the metrics and the headers of
real answers: what is not listed is not there.

Whoever runs an installation is the controller in the sense of the GDPR; the legal bases below are those this program was
made for.
"""

WORDS = """
## Words

- *In no file*: SQLite overwrites deleted rows with zeros at once (`secure_delete`), and its log of writes is emptied within
  a minute, so that neither free pages nor the log hold what was removed. What is left on the medium itself below the file
  system (flash wear levelling, snapshots, backups) is noise to whoever does not hold the link: the server never stores
  what opens a secret. With PostgreSQL the tables are rewritten within a minute; its own log of writes is the database
  operator's, and [storage.md](storage.md#what-is-left-of-a-secret-in-postgresql) has the settings that empty it.
- *Network*: of the address only the /24 (IPv4) or /48 (IPv6) is used, and only as an HMAC under a key that is random for
  each day and installation, not derived from the root key, and gone two days after the day began.
- *Access and erasure*: without an account nothing here can be tied to a person by whoever runs the service (GDPR Art. 11);
  the sender's receipt and the recipient's link are the doors to what they belong to.
"""


def page() -> str:
    return HEAD + "".join([*_summary(), *_details(), WORDS])


def _summary() -> Iterable[str]:
    yield "\n## In short\n\n"
    yield from (f"- {each}\n" for each in (*inventory.ABSENT, *inventory.BEYOND))
    yield "\n## What is kept or used, by kind\n\n"
    yield _row("What", "Why", "Legal basis", "How long", "Who can read it")
    yield _row(*["---"] * 5)
    for each in inventory.CATEGORIES:
        yield _row(each.title, each.purpose, each.basis, each.retention, each.readers)


def _details() -> Iterable[str]:
    yield "\n## Every field\n"
    for category in inventory.CATEGORIES:
        fields = [each for each in inventory.FIELDS if each.category is category]
        yield f"\n### {category.title}\n\n"
        yield " ".join(PLACES[place] for place in dict.fromkeys(each.place for each in fields))
        yield f"\n\n{_ends(category)}\n\n"
        yield _row("Name", "What", "Encrypted")
        yield _row(*["---"] * 3)
        for field in fields:
            yield _row(f"`{_name(field)}`", field.what, field.encrypted)


def _ends(category: Category) -> str:
    lines = [f"- Export: {category.exported}.", f"- Erasure: {category.erased}."]
    rule = category.rule
    if rule.until:
        lines.append(
            f"- Rule: until `{rule.until}`; in no file at most {rule.seconds} seconds later."
        )
    return "\n".join(lines)


def _name(field: Field) -> str:
    return field.name.replace("|", "\\|")


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |\n"


if __name__ == "__main__":
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page())

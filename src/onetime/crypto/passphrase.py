"""One passphrase, one spelling: whoever types it, on whatever keyboard. For both kinds of encryption."""

from __future__ import annotations

import unicodedata

from onetime.errors import Invalid

# Code points before NFC. Normalising takes time that grows with the square of a run of combining marks (40,000 of them: three
# seconds), so what is too long is not even normalised. One code point of NFC has at most four in any other spelling, so
# nothing of up to 128 is refused here.
LONGEST_SPELLING = 4 * 128


def normal(passphrase: str) -> str:
    """NFC, so that composed and decomposed spellings are one passphrase. Nothing is trimmed or folded.

    Raises:
        Invalid: unpaired surrogates ("malformed"), or far too long ("too_long").
    """
    if len(passphrase) > LONGEST_SPELLING:
        raise Invalid("passphrase", "The passphrase is too long", rule="too_long")
    try:
        passphrase.encode()
    except UnicodeEncodeError:
        raise Invalid("passphrase", "The passphrase is not valid Unicode") from None
    return unicodedata.normalize("NFC", passphrase)


def has_unassigned(passphrase: str) -> bool:
    """Code points that this Unicode version does not know may normalise differently in another: refused when set.

    Noncharacters are among them; private use is not.

    Source: RFC 8264, section 9.10.
    """
    return any(unicodedata.category(letter) == "Cn" for letter in passphrase)

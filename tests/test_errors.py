"""The tree of errors: every class in the picture, with a code of its own, a status and an exit code."""

import re
from collections.abc import Iterator

from onetime import errors
from onetime.cli import terminal
from onetime.errors import OnetimeError
from onetime.web import errors as web

EXAMPLES: list[OnetimeError] = [
    OnetimeError("It went wrong"),
    errors.Invalid("ttl", "At least 60 seconds", rule="too_short"),
    errors.TooLarge("secret", limit_bytes=10, size_bytes=11),
    errors.Unauthenticated("Sign in first"),
    errors.Forbidden("That is not yours"),
    errors.NotFound(),
    errors.WrongPassphrase(attempts_left=3),
    errors.Conflict("It has changed"),
    errors.Claimed(),
    errors.RateLimited("create", retry_after=20),
    errors.Closed(),
    errors.Disabled("It is switched off"),
    errors.Undecryptable(),
    errors.Unavailable(),
    errors.Full(),
    errors.Unreachable("secrets.example", "connection refused"),
    errors.Foreign("It speaks something else"),
    errors.Misconfigured("ONETIME_PORT: must be a whole number"),
]


def tree(kind: type[OnetimeError] = OnetimeError, depth: int = 0) -> Iterator[tuple[str, int]]:
    yield kind.__name__, depth
    for below in kind.__subclasses__():
        yield from tree(below, depth + 1)


def picture() -> Iterator[tuple[str, int]]:
    """Names and depths in the drawing that opens the module."""
    for line in (errors.__doc__ or "").splitlines():
        drawn = re.match(
            r"    (?P<branch>(?:[│ ]   )*(?:[├└]── )?)(?P<name>[A-Z]\w+)(?:\s{2,}|$)", line
        )
        if drawn:
            yield drawn["name"], len(drawn["branch"]) // 4


def test_the_picture_shows_the_tree_in_its_order() -> None:
    assert list(picture()) == list(tree())


def test_every_line_of_the_picture_says_what_the_error_means() -> None:
    for name, depth in tree():
        if depth:
            assert re.search(rf"── {name} +\S.*\w", errors.__doc__ or ""), name


def test_every_error_has_an_example_here() -> None:
    assert [type(each).__name__ for each in EXAMPLES] == [name for name, _ in tree()]


def test_every_error_has_a_code_of_its_own() -> None:
    codes = [each.code for each in EXAMPLES]
    assert len(set(codes)) == len(codes)
    assert all(re.fullmatch("[a-z_]+", code) for code in codes)


def test_every_error_has_a_status() -> None:
    found = {type(each): web.status(each) for each in EXAMPLES}
    assert all(400 <= status < 600 for status in found.values())
    # Only what no request can cause says that we are at fault.
    at_fault = {kind for kind, status in found.items() if status == 500}
    assert at_fault == {OnetimeError, errors.Misconfigured}


def test_every_error_has_an_exit_code() -> None:
    """Of sysexits.h, so that none is taken for a signal's or the shell's own."""
    assert {terminal.exit_code(each) for each in EXAMPLES} <= set(range(64, 79))
    assert {type(each) for each in EXAMPLES if terminal.exit_code(each) == 70} == {OnetimeError}


def test_the_tables_hold_no_row_for_anything_else() -> None:
    kinds = {type(each) for each in EXAMPLES}
    assert set(web.STATUS) <= kinds
    assert set(terminal.EXIT_CODES) <= kinds


def test_a_subclass_without_a_row_has_its_parents() -> None:
    assert errors.Full not in web.STATUS.keys() | terminal.EXIT_CODES.keys()
    assert (web.status(errors.Full()), terminal.exit_code(errors.Full())) == (503, 75)


def test_waiting_is_named_where_it_helps() -> None:
    helps = {type(each) for each in EXAMPLES if web.retry_after(each) is not None}
    unavailable = {errors.Unavailable, *errors.Unavailable.__subclasses__()}
    assert helps == {errors.RateLimited} | unavailable
    assert web.retry_after(errors.RateLimited("passphrase total", retry_after=None)) is None


def test_messages_are_one_line() -> None:
    assert all(str(each) and "\n" not in str(each) for each in EXAMPLES)

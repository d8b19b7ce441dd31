"""Parameters of a header are few: their parser takes time that grows with the square of their number."""

import pytest

from onetime.errors import Invalid
from onetime.web import body

MANY = b";" * 3900
PART = b"--x\r\nContent-Disposition: form-data; name=a%b\r\n\r\nv\r\n--x--\r\n"


def test_a_part_with_a_name_is_read() -> None:
    assert body.multipart(PART % b"", "multipart/form-data; boundary=x") == {"a": "v"}


def test_a_part_with_thousands_of_parameters_is_refused() -> None:
    with pytest.raises(Invalid):
        body.multipart(PART % MANY, "multipart/form-data; boundary=x")


def test_a_content_type_with_thousands_of_parameters_is_refused() -> None:
    with pytest.raises(Invalid):
        body.multipart(PART % b"", "multipart/form-data; boundary=x" + MANY.decode())

"""Shifts the wall clock of a Python program that has this folder on its PYTHONPATH.

Python imports `sitecustomize` before anything of the program, so what the program imports from `time` is shifted already.
The shift, in whole seconds, lies in the file that FAULTS_CLOCK names: eight bytes, mapped into memory, so that a change
is seen at once by every process. The monotonic clock stays as it is, as it does when somebody sets a machine's clock.

(libfaketime would shift more than Python's own clock, but the release that Debian 12 has breaks `time.sleep`.)
"""

from __future__ import annotations

import mmap
import os
import struct
import time


def _shift() -> None:
    with open(os.environ["FAULTS_CLOCK"], "rb") as file:  # noqa: PTH123 - every start waits for pathlib otherwise
        shared = mmap.mmap(file.fileno(), 8, prot=mmap.PROT_READ)
    shift = struct.Struct("=q")
    real_time, real_time_ns = time.time, time.time_ns

    def shifted_time() -> float:
        seconds: int = shift.unpack_from(shared)[0]
        return real_time() + seconds

    def shifted_time_ns() -> int:
        seconds: int = shift.unpack_from(shared)[0]
        return real_time_ns() + seconds * 1_000_000_000

    time.time, time.time_ns = shifted_time, shifted_time_ns


if "FAULTS_CLOCK" in os.environ:
    _shift()

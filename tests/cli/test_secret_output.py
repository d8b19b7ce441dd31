"""Where a revealed secret goes: a file, standard output, a program; and what happens when it does not arrive, the line is cut,
or somebody presses Ctrl+C.
"""

from __future__ import annotations

import os
import re
import signal
import stat
import subprocess
from pathlib import Path

import pytest

from tests.cli.person import RECEIPT, Person
from tests.cli.running import ONETIME, PATIENCE_SECONDS, Server, serving
from tests.client.cutting import Line

# Each takes several processes: for `make faults`.
pytestmark = pytest.mark.full

GONE = "onetime: there is nothing here: it was opened or destroyed, has expired, or never was\n"
LINK = "https://secrets.example/secret#D3CSNUWufwEnBC2_CsexPc_v0H3gyI1cMoZowGjohJY"


# Into a file


def test_a_file_is_its_owners_alone_and_whole(person: Person) -> None:
    link, receipt = person.share_both(b"text")
    said = person.run("reveal", link, "--output", "saved")
    assert (said.code, said.out, said.err) == (0, b"", "")
    saved = person.folder / "saved"
    assert saved.read_bytes() == b"text"
    assert stat.S_IMODE(saved.stat().st_mode) == 0o600
    assert person.files() == ["saved"]
    assert person.state(receipt) == "opened, and it has arrived"


def test_what_is_there_stays_and_costs_nothing(person: Person) -> None:
    link, receipt = person.share_both(b"text")
    (person.folder / "saved").write_text("mine")
    (person.folder / "link").symlink_to("nowhere")
    for name in ("saved", "link"):
        assert person.run("reveal", link, "--output", name).code == 73
    assert person.state(receipt) == "new: nobody has opened it"
    assert (person.folder / "saved").read_text() == "mine"
    said = person.run("reveal", link, "--output", "saved", "--force")
    assert (said.code, said.err) == (0, "")
    assert (person.folder / "saved").read_text() == "text"
    assert person.files() == ["link", "saved"]


def test_what_came_there_meanwhile_stays(cut: Person, line: Line) -> None:
    """Somebody else makes the file while the secret is on its way."""
    link, receipt = cut.share_both(b"text")
    line.cut("reveal", "held")
    process = cut.start("reveal", link, "--output", "saved")
    assert line.held.wait(PATIENCE_SECONDS)
    (cut.folder / "saved").write_text("mine")
    line.let_go()
    _, said = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 73
    assert b"saved is there already" in said
    assert (cut.folder / "saved").read_text() == "mine"
    assert cut.files() == ["saved"]
    assert cut.state(receipt) == "opened; its arrival is not confirmed yet"


def test_a_file_that_does_not_fit(person: Person) -> None:
    """The limit of a file's size stands for a full disk: the system refuses in the middle."""
    link, receipt = person.share_both(b"x" * 5000)
    command = f"ulimit -f 2; exec {ONETIME} reveal '{link}' --output saved"
    said = subprocess.run(
        ["bash", "-c", command],  # noqa: S607
        env=person.environ(),
        cwd=person.folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (said.returncode, said.stdout) == (73, "")
    assert "saved could not be written: File too large" in said.stderr
    assert person.files() == []
    assert person.state(receipt) == "opened; its arrival is not confirmed yet"
    found = re.search(r"--claim (\S+)", said.stderr)
    assert found
    again = person.run("reveal", link, "--claim", found[1], "--output", "saved")
    assert again.code == 0
    assert (person.folder / "saved").read_bytes() == b"x" * 5000
    assert person.state(receipt) == "opened, and it has arrived"


# To standard output


def test_nobody_reads_the_output(person: Person) -> None:
    link, receipt = person.share_both(b"text")
    reading, writing = os.pipe()
    os.close(reading)
    said = person.run("reveal", link, out=writing)
    os.close(writing)
    assert said.code == 73
    assert said.err.endswith("onetime: nobody reads the output\n")
    assert person.state(receipt) == "opened; its arrival is not confirmed yet"
    assert person.run("reveal", link, "--claim", said.claim).out == b"text"
    assert person.state(receipt) == "opened, and it has arrived"


def test_another_claim_is_not_given_it(person: Person) -> None:
    link, _ = person.share_both(b"text")
    with Path("/dev/full").open("wb") as full:
        said = person.run("reveal", link, out=full.fileno())
    assert said.code == 73
    other = person.run("reveal", link, "--claim", "A" * 22)
    assert (other.code, other.out) == (65, b"")
    assert person.run("reveal", link, "--claim", said.claim).out == b"text"
    assert person.run("reveal", link, "--claim", said.claim).err == GONE


def test_without_a_window_there_is_no_coming_back(tmp_path: Path) -> None:
    with serving(tmp_path, {"ONETIME_REVEAL_WINDOW": "0"}) as server:
        home = tmp_path / "home"
        home.mkdir()
        person = Person(server.address, home)
        with Path("/dev/full").open("wb") as full:
            said = person.run("reveal", person.share(b"text"), out=full.fileno())
    assert said.code == 73
    assert said.err.startswith("onetime: this secret was given out once: it is lost\n")


def test_a_sealed_one_is_lost_with_its_output(person: Person) -> None:
    with Path("/dev/full").open("wb") as full:
        said = person.run("reveal", person.share(b"text", "--sealed"), out=full.fileno())
    assert said.code == 73
    assert said.err.startswith("onetime: this secret was given out once: it is lost\n")


def test_a_link_that_cannot_be_printed_is_destroyed(cut: Person, line: Line) -> None:
    for words in ((), ("--sealed",)):
        with Path("/dev/full").open("wb") as full:
            said = cut.run("share", *words, given=b"text", out=full.fileno())
        assert said.code == 73
        assert said.err == (
            "onetime: the link could not be printed, so the secret is destroyed\n"
            "onetime: the output could not be written: No space left on device\n"
        )
    assert len([each for each in line.requests if each.path.endswith("/burn")]) == 2


# To a program


def test_a_program_gets_it_on_standard_input(person: Person) -> None:
    link, receipt = person.share_both(b"\xff\0text\n")
    said = person.run("reveal", link, "--run", "od", "-An", "-tx1")
    assert (said.code, said.out.split()) == (0, [b"ff", b"00", b"74", b"65", b"78", b"74", b"0a"])
    assert person.state(receipt) == "opened, and it has arrived"


def test_a_program_gets_it_in_a_variable(person: Person) -> None:
    link = person.share(b"\xfftext\n")
    script = 'printf %s "$TOKEN" | od -An -tx1; test -z "$(cat)"; echo "$@"'
    said = person.run(
        "reveal", "--env", "TOKEN", link, "--run", "--", "sh", "-c", script, "sh", "--output", "-x"
    )
    assert said.code == 0
    assert said.out.split() == [b"ff", b"74", b"65", b"78", b"74", b"0a", b"--output", b"-x"]


def test_no_variable_holds_a_nul(person: Person) -> None:
    link, receipt = person.share_both(b"a\0b")
    said = person.run("reveal", link, "--env", "TOKEN", "--run", "true")
    assert said.code == 73
    assert "leave --env out" in said.err
    assert person.run("reveal", link, "--claim", said.claim).out == b"a\0b"
    assert person.state(receipt) == "opened, and it has arrived"


@pytest.mark.parametrize(
    ("script", "code"), [("exit 3", 3), ("kill -TERM $$", 143), ("cat; exit 1", 1)]
)
def test_a_program_that_fails_settles_nothing(person: Person, script: str, code: int) -> None:
    link, receipt = person.share_both(b"text")
    said = person.run("reveal", link, "--run", "sh", "-c", script)
    assert said.code == code
    assert said.err.endswith(f"onetime: sh ended with {code}\n")
    assert person.state(receipt) == "opened; its arrival is not confirmed yet"
    assert person.run("reveal", link, "--claim", said.claim, "--run", "cat").out == b"text"
    assert person.state(receipt) == "opened, and it has arrived"


def test_a_program_that_has_seen_enough_may_end_well(person: Person) -> None:
    link, receipt = person.share_both(b"x" * 100_000)
    assert person.run("reveal", link, "--run", "true").code == 0
    assert person.state(receipt) == "opened, and it has arrived"


def test_a_program_that_cannot_be_run_costs_nothing(person: Person) -> None:
    link, receipt = person.share_both(b"text")
    assert person.run("reveal", link, "--run", "no-such-program").code == 127
    (person.folder / "file").write_text("text")
    assert person.run("reveal", link, "--run", "./file").code == 126
    (person.folder / "file").write_text("#!/no/such/interpreter\n")
    (person.folder / "file").chmod(0o755)
    assert person.state(receipt) == "new: nobody has opened it"
    said = person.run("reveal", link, "--run", "./file")
    assert said.code == 126
    assert person.run("reveal", link, "--claim", said.claim).out == b"text"


# The network


@pytest.mark.parametrize("how", ["before", "lost", "middle"])
def test_a_cut_line_loses_nothing(cut: Person, line: Line, how: str) -> None:
    line.cut("create", how)  # type: ignore[arg-type]
    link, receipt = cut.share_both(b"text")
    line.cut("reveal", how, times=2)  # type: ignore[arg-type]
    line.cut("settle", how)  # type: ignore[arg-type]
    said = cut.run("reveal", link)
    assert (said.code, said.out, said.err) == (0, b"text", "")
    assert cut.state(receipt) == "opened, and it has arrived"
    for verb in ("create", "reveal", "settle"):
        assert len({each.head + each.body for each in line.sent(verb)}) == 1


def test_a_line_that_stays_cut(cut: Person, line: Line) -> None:
    line.cut("create", "lost", times=5)
    said = cut.run("share", given=b"text")
    assert (said.code, said.out) == (75, b"")
    assert said.err.endswith(" did not answer: the connection was cut\n")
    receipt = RECEIPT.search(said.err)
    assert receipt
    assert cut.state(receipt[0]) == "new: nobody has opened it"
    assert cut.run("burn", receipt[0]).code == 0
    link, receipt_link = cut.share_both(b"text")
    line.cut("reveal", "lost", times=5)
    said = cut.run("reveal", link)
    assert (said.code, said.out) == (75, b"")
    assert cut.state(receipt_link) == "opened; its arrival is not confirmed yet"
    assert cut.run("reveal", link, "--claim", said.claim).out == b"text"


def test_what_was_changed_on_the_way_can_be_fetched_again(cut: Person, line: Line) -> None:
    link, receipt = cut.share_both(b"text")
    line.cut("reveal", "changed")
    said = cut.run("reveal", link)
    assert (said.code, said.out) == (74, b"")
    assert "what came is not what was shared" in said.err
    assert cut.state(receipt) == "opened; its arrival is not confirmed yet"
    assert cut.run("reveal", link, "--claim", said.claim).out == b"text"


def test_what_was_not_sent_is_not_there(person: Person, line: Line) -> None:
    """Nobody listens at all: there is nothing to come back for, and nothing to destroy."""
    link = person.share(b"text").replace(person.server, "http://127.0.0.1:1/")
    for words in (("share", "--server", "http://127.0.0.1:1"), ("reveal", link)):
        said = person.run(*words, given=b"text")
        assert (said.code, said.err) == (
            75,
            "onetime: 127.0.0.1:1 did not answer: Connection refused\n",
        )


def test_what_cannot_be_settled_is_there_all_the_same(cut: Person, line: Line) -> None:
    link = cut.share(b"text")
    line.cut("settle", "before", times=5)
    said = cut.run("reveal", link)
    assert (said.code, said.out) == (0, b"text")
    assert "it destroys the secret by itself" in said.err


def test_something_else_answers(person: Person, server: Server) -> None:
    said = person.run("share", "--server", f"{server.address}static", given=b"text")
    assert (said.code, said.out) == (76, b"")
    assert said.err.startswith("onetime: no Onetime server that this program understands: ")


# Ctrl+C


def test_a_share_that_is_interrupted_is_destroyed(cut: Person, line: Line) -> None:
    line.cut("create", "held")
    process = cut.start("share")
    assert process.stdin
    process.stdin.write(b"text")
    process.stdin.close()
    process.stdin = None
    assert line.held.wait(PATIENCE_SECONDS)
    process.send_signal(signal.SIGINT)
    out, said = process.communicate(timeout=PATIENCE_SECONDS)
    assert (process.returncode, out) == (130, b"")
    assert said == b"onetime: interrupted; the secret is destroyed\n"
    assert len(line.sent("receipt/burn")) == 1


def test_a_share_that_never_arrived_leaves_nothing(cut: Person, line: Line) -> None:
    line.cut("create", "swallowed")
    process = cut.start("share")
    assert process.stdin
    process.stdin.write(b"text")
    process.stdin.close()
    process.stdin = None
    assert line.held.wait(PATIENCE_SECONDS)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 130
    assert said == b"onetime: interrupted; the server has nothing of it\n"
    assert len(line.sent("receipt/burn")) == 2


def test_a_reveal_that_is_interrupted_can_be_taken_up(cut: Person, line: Line) -> None:
    link, receipt = cut.share_both(b"text")
    line.cut("reveal", "held")
    process = cut.start("reveal", link, "--output", "saved")
    assert line.held.wait(PATIENCE_SECONDS)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 130
    assert cut.files() == []
    found = re.search(rb"--claim (\S+)", said)
    assert found
    assert cut.state(receipt) == "opened; its arrival is not confirmed yet"
    assert cut.run("reveal", link, "--claim", found[1].decode()).out == b"text"


def test_a_program_that_is_interrupted_settles_nothing(person: Person) -> None:
    link, receipt = person.share_both(b"text")
    script = "cat > got; echo ready; exec sleep 600"
    process = person.start("reveal", link, "--run", "sh", "-c", script)
    assert process.stdout
    assert process.stdout.readline() == b"ready\n"
    # As a terminal does it: to everybody in the foreground.
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 130
    assert b"onetime: sh ended with 130\n" in said
    assert person.state(receipt) == "opened; its arrival is not confirmed yet"

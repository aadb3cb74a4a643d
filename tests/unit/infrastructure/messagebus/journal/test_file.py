import os
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from nautilus_enhanced.infrastructure.messagebus import JournalBusyError
from nautilus_enhanced.infrastructure.messagebus import JournalError
from nautilus_enhanced.infrastructure.messagebus import StreamNaming
from nautilus_enhanced.infrastructure.messagebus.journal.file import JournalFile
from nautilus_enhanced.infrastructure.messagebus.journal.file import Session
from nautilus_enhanced.infrastructure.messagebus.journal.records import Row
from nautilus_enhanced.infrastructure.messagebus.journal.records import State
from nautilus_enhanced.infrastructure.messagebus.journal.records import Stored


NAMING = StreamNaming(trader_id="T-1")
ROWS = [
    Row([Stored(1, number, 5, 1, ["t"], [b"%d" % number])], State([(number, [])]))
    for number in range(4)
]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "folder" / "T-1-stream.journal"


@pytest.fixture
def journal(path):
    file = opened(path)
    yield file
    file.close()


def opened(path, **options):
    file = JournalFile(path, **options)
    file.lock()
    assert file.open() is None
    return file


def test_rows_are_read_back_by_the_next_process(path):
    file = opened(path)
    assert [file.append(row)[0] for row in ROWS] == [0, 1, 2, 3]
    file.delete([1])
    assert file.read(2) == ROWS[2]
    file.close()
    again = opened(path)
    assert [(position, row) for position, _, row in again.rows()] == [
        (0, ROWS[0]),
        (2, ROWS[2]),
        (3, ROWS[3]),
    ]
    assert again.append(ROWS[1])[0] == 4
    with pytest.raises(JournalError, match="gone"):
        again.read(1)
    again.close()


def test_a_row_outlives_a_process_that_is_killed(path):
    program = (
        "import os, signal, sys\nfrom pathlib import Path\n"
        "from nautilus_enhanced.infrastructure.messagebus.journal.file import JournalFile\n"
        "from nautilus_enhanced.infrastructure.messagebus.journal.records import Row, Stored\n"
        "file = JournalFile(Path(sys.argv[1])); file.lock(); file.open()\n"
        "file.append(Row([Stored(1, 0, 5, 1, ['t'], [b'x'])]))\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", program, str(path)], timeout=30, check=False)
    file = opened(path)
    assert [row.stored[0].payloads for _, _, row in file.rows()] == [[b"x"]]
    file.close()


def test_nobody_else_may_read_it(journal, path):
    journal.append(ROWS[0])
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    for file in path.parent.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file


def test_one_process_has_it_at_a_time(journal, path):
    other = JournalFile(path)
    with pytest.raises(JournalBusyError, match=f"process {os.getpid()}"):
        other.lock()
    journal.close()
    other.lock()
    other.close()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"This is a letter to my aunt. " * 100, "not a database"),
        (None, "something else"),
    ],
)
def test_a_foreign_file_is_put_aside(path, content, reason):
    path.parent.mkdir()
    if content is None:
        with sqlite3.connect(path) as database:
            database.execute("CREATE TABLE accounts (name TEXT)")
        database.close()
        content = path.read_bytes()
    else:
        path.write_bytes(content)
    file = JournalFile(path)
    file.lock()
    damage = file.open()
    assert reason in damage.reason
    assert Path(damage.kept_as).read_bytes() == content
    file.append(ROWS[0])
    file.close()
    opened(path).close()


def test_files_put_aside_in_the_same_second_do_not_meet(path):
    path.parent.mkdir()
    kept = set()
    for number in range(3):
        path.write_bytes(b"no database %d" % number * 100)
        file = JournalFile(path)
        file.lock()
        kept.add(file.open().kept_as)
        file.close()
    assert len(kept) == 3


def test_a_damaged_database_is_put_aside(path):
    file = opened(path)
    for number in range(2_000):
        file.append(Row([Stored(1, number, 5, 1, ["t"], [b"x" * 400])]))
    file.close()
    raw = bytearray(path.read_bytes())
    raw[4096 : 40 * 4096] = bytes(39 * 4096)
    path.write_bytes(raw)
    file = JournalFile(path)
    file.lock()
    damage = file.open()
    assert "damaged" in damage.reason or "malformed" in damage.reason
    assert list(file.rows()) == []
    file.close()


def test_a_journal_of_a_later_version_is_put_aside(path):
    opened(path).close()
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version = 99")
    database.close()
    file = JournalFile(path)
    file.lock()
    assert "layout is number 99" in file.open().reason
    file.close()


def test_a_damaged_row_is_told_apart(journal, path):
    journal.append(ROWS[0])
    journal.append(ROWS[1])
    with sqlite3.connect(path) as database:
        database.execute("UPDATE log SET body = x'00112233445566' WHERE position = 0")
    database.close()
    (_, _, first), (_, _, second) = journal.rows()
    assert isinstance(first, JournalError)
    assert second == ROWS[1]
    with pytest.raises(JournalError, match="damaged"):
        journal.read(0)


def test_an_interrupted_creation_is_finished(path):
    path.parent.mkdir()
    path.touch()
    opened(path).close()
    path.unlink()
    database = sqlite3.connect(path)
    database.execute("PRAGMA journal_mode = WAL")
    database.close()
    file = opened(path)
    file.append(ROWS[0])
    file.close()


def test_sessions_are_told_apart_and_forgotten(journal):
    session = Session(started_ns=1, pid=2, naming=NAMING, encoding="Json")
    first, second = journal.begin_session(session), journal.begin_session(session)
    assert journal.sessions() == {first: session, second: session}
    journal.forget_sessions(second)
    assert journal.sessions() == {second: session}


def test_a_folder_that_cannot_be_made_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(JournalError, match="cannot be made"):
        JournalFile(tmp_path / "file" / "x.journal").lock()


def test_what_is_closed_is_not_written(path):
    file = opened(path, fsync=True)
    file.close()
    file.close()
    with pytest.raises(sqlite3.ProgrammingError):
        file.append(ROWS[0])
    with pytest.raises(JournalError, match="cannot be read"):
        file.read(0)

"""SQLite's file with several processes at it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from sqlalchemy import text

from aiops.state.store.open import engine, reading, writing

WRITES = """
import sys
from pathlib import Path
from sqlalchemy import text
from aiops.state.store.open import engine, writing
database = engine(Path(sys.argv[1]))
with writing(database) as connection:
    connection.execute(text("INSERT INTO seen VALUES (1)"))
database.dispose()
"""


def test_a_process_that_ends_takes_nothing_away_from_one_with_several_connections(tmp_path: Path) -> None:
    """What was found: the second connection took the locks of the first away, the other process removed the journal
    as the last one to leave, and from then on each had a database of its own."""
    path = tmp_path / "aiops.db"
    database = engine(path)
    with writing(database) as connection:
        connection.execute(text("CREATE TABLE seen (number INTEGER)"))
    with reading(database), reading(database):
        pass
    for number in (1, 2, 3):
        subprocess.run([sys.executable, "-c", WRITES, str(path)], check=True)
        with reading(database) as connection:
            assert connection.execute(text("SELECT count(*) FROM seen")).scalar_one() == number
    database.dispose()

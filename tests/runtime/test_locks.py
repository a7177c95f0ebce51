"""A lock is held by one, names its holder, and goes with it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from shared.errors import LockedError
from shared.runtime.locks import FileLock, is_locked


def test_the_second_is_told_who_holds_it(tmp_path: Path) -> None:
    with FileLock(tmp_path, "player"):
        assert is_locked(tmp_path, "player")
        with pytest.raises(LockedError, match=str(os.getpid())):
            FileLock(tmp_path, "player").acquire()
    assert not is_locked(tmp_path, "player")
    with FileLock(tmp_path, "player"):
        pass


def test_a_killed_holder_frees_it(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from shared.runtime.locks import FileLock;"
        "lock = FileLock(Path(sys.argv[1]), 'player').acquire(); print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        assert is_locked(tmp_path, "player")
        holder.kill()
        holder.wait(10)
        assert not is_locked(tmp_path, "player")

"""A PostgreSQL server of the tests' own: started from the system's package, reached by a socket in its folder."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.needs import missing

USER = "postgres"  # a server refuses to run as root


@dataclass(frozen=True)
class Server:
    """A running server."""

    programs: Path
    folder: Path

    def url(self, database: str = "postgres", user: str = "harness") -> str:
        return f"postgresql://{user}@/{database}?host={self.folder}"

    def sql(self, text: str, database: str = "postgres") -> None:
        """Run statements as the server's own user."""
        command = [self.programs / "psql", "-qX", "-v", "ON_ERROR_STOP=1", "-h", self.folder, "-U", "admin", database]
        subprocess.run(command, input=text, text=True, check=True, capture_output=True)

    def start(self) -> None:
        options = f"-c listen_addresses='' -c unix_socket_directories={self.folder} -c fsync=off -c max_connections=60"
        self.control("-l", str(self.folder / "data" / "log"), "-o", options, "start")

    def control(self, *words: str) -> None:
        command = [self.programs / "pg_ctl", "-s", "-w", "-D", self.folder / "data", *words]
        subprocess.run(command, check=True, capture_output=True, **as_user())


def as_user() -> dict[str, str]:
    return {"user": USER, "group": USER} if os.geteuid() == 0 else {}


def programs() -> Path:
    """Return the folder of the server's programs, the newest version's."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[4]))
    on_path = shutil.which("initdb")
    if not found and on_path is None:
        missing("PostgreSQL", "install the system package postgresql")
    return (found[-1] if found else Path(str(on_path)).resolve()).parent


@contextmanager
def server() -> Iterator[Server]:
    """Start a server that forgets everything at the end; trusts whoever reaches its socket."""
    where = programs()
    if os.geteuid() == 0 and USER not in {one.pw_name for one in pwd.getpwall()}:
        missing(f"the user {USER}", "install the system package postgresql")
    with tempfile.TemporaryDirectory(prefix="pg-", dir="/tmp") as name:  # a socket's path must be short
        folder = Path(name)
        folder.chmod(0o755)
        data = folder / "data"
        data.mkdir()
        if os.geteuid() == 0:
            shutil.chown(data, USER, USER)
            shutil.chown(folder, USER, USER)
        initdb = [where / "initdb", "-D", data, "-U", "admin", "-A", "trust", "-E", "UTF8", "--no-sync"]
        subprocess.run(initdb, check=True, capture_output=True, **as_user())
        one = Server(where, folder)
        one.start()
        try:
            one.sql("CREATE ROLE harness LOGIN CREATEDB; CREATE ROLE guest LOGIN;")
            yield one
        finally:
            one.control("-m", "immediate", "stop")

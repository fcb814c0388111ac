"""What a file system or a database says, as a StoreError that names the place and the remedy."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError
from sqlalchemy.exc import DBAPIError

from harness.errors import StoreError

AGAIN = "run the same command again; finished steps are kept."


@contextmanager
def told(folder: Path, database: Callable[[str], tuple[str, str]] | None = None) -> Generator[None]:
    """Tell errors of files below `folder`; `database` turns what a database says into its name and the remedy."""
    try:
        yield
    except DBAPIError as err:
        if database is None:
            raise
        said = str(err.orig).strip()
        name, remedy = database(said)
        raise StoreError(f"{name}: {said}. {remedy}") from err
    except SafetensorError as err:
        raise StoreError(f"{folder}: {err}. Free some space and {AGAIN}") from err
    except shutil.Error as err:
        raise StoreError(f"{folder}: {err.args[0][0][-1]}. Mend this and run the same command again.") from err
    except PermissionError as err:
        raise StoreError(
            f"{err.filename or folder}: no permission to write. Give yourself write permission there, or choose "
            "another folder (store=NEW_FOLDER)."
        ) from err
    except (FileExistsError, NotADirectoryError) as err:
        raise StoreError(
            f"{err.filename or folder}: a file stands where a folder should be. Choose another folder with store= "
            "or run=."
        ) from err
    except OSError as err:
        raise StoreError(f"{err.filename or folder}: {err.strerror or err}. Mend this and {AGAIN}") from err

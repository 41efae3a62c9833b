"""Files that a user names on the command line, read with errors that say what to do."""

from pathlib import Path
from typing import TYPE_CHECKING

from scalingsweep.errors import DataError

if TYPE_CHECKING:
    from scalingsweep.api.sweep import ScalingSweep


def text(path: Path) -> str:
    """The text of a file.

    Raises:
        DataError: it is not there, no file, not readable or not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8-sig")  # spreadsheets put a mark in front
    except FileNotFoundError:
        raise DataError(str(path), "there is no such file: check the path") from None
    except IsADirectoryError:
        raise DataError(str(path), "is a folder: name a file in it") from None
    except UnicodeDecodeError as error:
        raise DataError(
            str(path), f"is not UTF-8 text (byte {error.start}): save it as UTF-8"
        ) from None
    except OSError as error:
        raise DataError(str(path), f"cannot be read ({error.strerror})") from None


def sweep(path: Path) -> "ScalingSweep":
    """The checked sweep of a manifest.

    Raises:
        SpecError: naming the field or the file, and the mend.
    """
    from scalingsweep import manifest  # its models take a quarter of a second; tables need none

    return manifest.parse(text(path), where=str(path))

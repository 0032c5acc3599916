"""Tables that operators write: CSV files."""

from __future__ import annotations

import csv

from redirector.errors import SnapshotError
from redirector.files import explain_failure, read_bytes


def read_rows(path: str, limit_bytes: int) -> list[list[str]]:
    """The rows of the CSV file *path*, which has *limit_bytes* at most. Raises SnapshotError when it cannot be read."""
    try:
        return list(csv.reader(read_bytes(path, limit_bytes).decode("utf-8-sig").splitlines()))
    except (OSError, ValueError) as error:
        raise SnapshotError.of(path, f"cannot be read: {explain_failure(error)}") from error
    except csv.Error as error:
        raise SnapshotError.of(path, f"cannot be read: {error}") from error

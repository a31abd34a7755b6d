"""A database by its URL."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

from pronk.domain.errors import SettingsError
from pronk.store.database import Database
from pronk.store.sqlite import open_sqlite


def open_database(url: str) -> Database:
    """Open ``sqlite:///PATH`` or ``postgresql://…`` and bring it to the newest schema. Waits for nobody.

    Raises SettingsError for a URL that is not served here and StoreOutageError when the database does not answer.
    """
    parts = urlsplit(url)
    if parts.scheme == "sqlite":
        return open_sqlite(Path("/" + unquote(parts.path).lstrip("/")))
    try:
        from pronk.store.postgres import open_postgres  # noqa: PLC0415  # an extra, and slow to import
    except ImportError as error:
        raise SettingsError(
            f"database {parts.scheme}:// needs: pip install 'pronk[postgres]' ({error})"
        ) from error
    return open_postgres(url)

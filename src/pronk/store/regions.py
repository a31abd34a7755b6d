"""Where buckets were found to live."""

from __future__ import annotations

from pronk.store.database import Database


class Regions:
    """Rows of known regions. `bucket` is a bucket's name, behind its endpoint where it is not Amazon's."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find_region(self, bucket: str) -> str | None:
        """Return the region a bucket was found in."""
        row = await self._database.read(lambda tx: tx.one("find_region", bucket=bucket))
        return str(row["region"]) if row else None

    async def remember_region(self, bucket: str, region: str) -> None:
        """Write down where a bucket lives; a later word replaces an earlier one."""
        await self._database.write(lambda tx: tx.run("remember_region", bucket=bucket, region=region))

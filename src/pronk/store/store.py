"""Everything that is remembered, by noun: domain values in and out, one method a deed.

Times are Unix seconds and come from the caller, who takes them from `Store.now` so that all agree. Methods named `find` answer None for what is not there, `get` raises
NotFoundError; a move that the table of legal moves forbids raises ConflictError; a claim that somebody else took over
raises ClaimLostError. Every method may raise StoreOutageError.
"""

from __future__ import annotations

from collections.abc import Sequence

from pronk.domain.batch import MOVES
from pronk.domain.ids import DEFAULT_PROJECT
from pronk.domain.project import NO_LIMITS, Limits
from pronk.store.audit import Audit
from pronk.store.batches import Batches
from pronk.store.chores import Chores
from pronk.store.clock import Clock
from pronk.store.database import Database, Transaction
from pronk.store.duties import Duties
from pronk.store.errands import Errands, Webhooks
from pronk.store.figures import Figures
from pronk.store.files import Files
from pronk.store.jobs import Jobs
from pronk.store.keys import Keys
from pronk.store.marks import Marks
from pronk.store.overview import Overview
from pronk.store.projects import Projects
from pronk.store.quotas import Quotas
from pronk.store.regions import Regions
from pronk.store.shards import Shards
from pronk.store.timed import TimedDatabase
from pronk.store.uploads import Uploads
from pronk.store.views import Views
from pronk.store.workers import Workers


class Store:
    """One database, a room for each noun. `limits` are those of projects that have none of their own."""

    def __init__(self, database: Database, limits: Limits = NO_LIMITS) -> None:
        database = self._database = TimedDatabase(database)
        self._clock = Clock(database.clock_difference)
        quotas = Quotas(limits)
        self.files = Files(database, quotas)
        self.batches = Batches(database, quotas)
        self.duties = Duties(database, quotas)
        self.shards = Shards(database)
        self.uploads = Uploads(database, quotas)
        self.jobs = Jobs(database)
        self.keys = Keys(database)
        self.projects = Projects(database, quotas)
        self.audit = Audit(database)
        self.webhooks = Webhooks(database)
        self.errands = Errands(database)
        self.regions = Regions(database)
        self.workers = Workers(database)
        self.chores = Chores(database)
        self.figures = Figures(database)
        self.overview = Overview(database)
        self.marks = Marks(database)
        self.views = Views(database)

    @property
    def applied(self) -> Sequence[str]:
        """The schema steps that opening the database has taken, by name."""
        return self._database.applied

    def now(self) -> float:
        """Return Unix seconds by the database's clock, which a step of this machine's wall clock does not move."""
        return self._clock.now()

    async def open(self, *, now: int) -> None:
        """Set the clock and write down what the program knows: the table of moves and the default project."""
        wanted = {(str(old), str(new)) for old, after in MOVES.items() for new in after}

        def work(tx: Transaction) -> None:
            tx.run("ensure_project", id=DEFAULT_PROJECT, name="default", now=now)
            known = {(row["from_status"], row["to_status"]) for row in tx.all("list_moves")}
            for move in sorted(wanted - known):
                tx.run("add_move", from_status=move[0], to_status=move[1])
            for move in sorted(known - wanted):
                tx.run("drop_move", from_status=move[0], to_status=move[1])

        await self._database.write(work)
        await self.set_clock()

    async def set_clock(self) -> None:
        """Bring `now` up to the database's clock; to be done now and then, because clocks drift."""
        await self._clock.set()

    async def ping(self) -> None:
        """Raise StoreOutageError when the database does not answer."""
        await self._database.read(lambda tx: tx.one("ping"))

    async def close(self) -> None:
        """Give the connections back."""
        await self._database.close()

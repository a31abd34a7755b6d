"""How many requests one replica gets at once, found from what comes back. Pure: time, chance and answers are arguments.

Little's law does the measuring. A request that took `latency` seconds for `work` tokens while `n` requests were out on
average says what the engine did at `n`: ``n · work / latency``. So every answer is evidence for the level that it lived
at, however late it comes, and no answer has to be thrown away after a change.

1. *Climb*: one more for every answer, so the level doubles each latency, as long as throughput grows with it.
2. *Seek*: go where the climb first gave what it gave at its end, then compare neighbours in ever shorter steps.
3. *Hold*: stay, and glance above and below now and then; what has changed much starts the search again.

Of levels that are as good the smallest wins, since a queue in the engine buys nothing. A fall of the throughput is left
at once, and the level remembered as the edge until answers become longer or shorter. Workers that share a replica each
take the others for as busy as themselves, so that none grows by taking the others' part; they compare a level with the
center before and after it, at times drawn by chance, so that none takes the others' steps for the effect of its own.
What is to stay free (`Reserve`) is taken off the level that was found: a limiter rests below it, and goes up to it and
above only to look around.
"""

from __future__ import annotations

import math
import random
from typing import Final, Literal

from pronk.engines.climb import FIRST, Climb
from pronk.engines.evidence import Evidence, Seen
from pronk.engines.gauges import Gauges
from pronk.engines.glances import Glances
from pronk.engines.heard import Heard, is_ours
from pronk.engines.levels import STEPS, Levels
from pronk.engines.reserve import Reserve, nothing

Phase = Literal["climb", "seek", "hold"]
_FIRST_SECONDS: Final = 2.0
_FIRST_MOST: Final = 64
"""Before the first answer the limit doubles every two seconds up to this; without it requests of 20 s start too late."""
_STEP_CLIMB: Final = 0.3
_STEP_CAREFUL: Final = 0.08
"""How far above the best level the next one lies while throughput grows with it; the second near an edge."""
_VISIT_SECONDS: Final = 2.0
_CHANGE: Final = 0.15
"""A rate that differs by more from what the same level gave, twice in a row, is another engine's."""
_MOST_DRIFT: Final = 0.05
_HOPELESS: Final = 0.88
_LOSS: Final = 0.05
"""What answers on the way must show beyond five errors for a fall: storms at an edge of memory cost 20 to 40 %."""
_CENTER_LOSS: Final = 0.02
_RETREAT: Final = 0.975
_CALM_KV: Final = 0.3
_LATE_SECONDS: Final = 0.5
_QUICK_RATE: Final = 1000.0
_QUICK_LEAST: Final = 64
"""An engine that answers a thousand times a second gets so many at least: the sender's own pauses cost more than a queue."""
_FULL: Final = 0.85
_CALM_LATENCIES: Final = 1.5
"""After a fall the preempted are computed again for a latency and more: what comes back meanwhile tells of the storm."""

Mark = tuple[float, float, int]
"""When a request began, the integral of requests out until then, and how many were out with it."""


class Limiter:
    """The limit of one replica as one worker sees it.

    Call `started` and `finished` around every request, and `tick` some times a second. `workers` share the replica;
    `reserve` says how much of what was found stays free.
    """

    def __init__(
        self,
        fixed: int | None = None,
        *,
        most: int = 1024,
        workers: int = 1,
        reserve: Reserve = nothing,
        chance: random.Random | None = None,
    ) -> None:
        self.limit = fixed or FIRST
        self.is_fixed = fixed is not None
        self._most = most
        self._workers = workers
        self._reserve = reserve
        self._quick_least = _QUICK_LEAST
        self.flying = 0
        self._area = 0.0
        self._area_at = 0.0
        self._latency = 0.0
        self._mean_work = 0.0
        self._climb = Climb(most)
        self._target = self._climb.target
        self._since = 0.0
        self._settled_at: float | None = None
        self._calm_at = 0.0
        self._evidence = Evidence()
        self._recent = Evidence()
        self._levels = Levels(workers, most)
        self._glances = Glances(workers, chance or random.Random(0))
        self._noise = 0.01
        self._lost = 0.0
        self._is_suspect = False
        self._has_jumped = False
        self._heard = Heard()
        self._phase: Phase = "climb"
        self._step = 0

    def started(self, now: float) -> Mark:
        """Count a request in; give what it returns to `finished`."""
        self._advance(now)
        self.flying += 1
        return now, self._area, self.flying

    def _advance(self, now: float) -> None:
        self._area += self.flying * (now - self._area_at)
        self._area_at = now

    def gone(self, now: float) -> None:
        """Count a request out that was cancelled or failed: it says nothing of the engine's pace."""
        self._advance(now)
        self.flying -= 1

    def finished(self, now: float, mark: Mark, work: float) -> None:
        """Count an answer worth `work` to the request whose `started` returned `mark`."""
        self.gone(now)
        if self.is_fixed:
            return
        began, area, level = mark
        latency = max(now - began, 1e-6)
        share = 0.02 if self._latency else 1.0
        self._latency += share * (latency - self._latency)
        self._mean_work += share * (work - self._mean_work)
        lived = (self._area - area) / latency
        if self._phase == "climb":
            self._evidence.add(level, work, latency)
            self._evidence.lived += self._area - area
        else:
            self._recent.add(lived, work, latency)
            if self._settled_at is not None and began >= self._settled_at:
                self._evidence.add(lived, work, latency)
        if self.limit < self._target:
            self.limit += 1

    def refused(self, now: float) -> None:
        """Count an answer that says too many at once (429, 503)."""
        if not self.is_fixed and now - self._since > self._latency:
            self._levels.center = max(1.0, round(0.8 * min(self._target, self.flying + 1)))
            self._levels.known = {}
            self._levels.set_edge(min(self._levels.edge, self.flying + 1.0), self._mean_work)
            self._phase, self._quick_least = "hold", 1
            if self._glances.side:
                self._glances.look_less(self._levels.drift)
            self._visit(now, self._resting)

    def look(self, now: float, gauges: Gauges) -> None:
        """Take what the engine says of itself; about once a second.

        A queue that is all ours is given back at once. The first preemption of a climb is the edge; later ones are left
        to the throughput, which may well be best with a few of them.
        """
        flying = self._workers * self.flying
        preempted = self._heard.take(now, gauges, flying)
        if self.is_fixed or not is_ours(gauges, flying):
            return
        seats = self._heard.filled_seats()
        if self._phase == "climb" and preempted and self._latency:
            self._levels.set_edge(float(self.flying), self._mean_work)
            self._settle(now, 0.8 * self.flying, "seek")
        elif seats is not None and self._heard.is_calm(now, self._latency):
            queue = 0.0 if self._reserve(round(seats)) else 0.04 * seats + 2
            self._settle(now, (seats + queue) / self._workers, "hold")
        elif not (self._latency or self._heard.is_whole) and gauges.waiting == 0 and gauges.kv_use < _CALM_KV:
            self._grow_blind(now, self._most)

    def _settle(self, now: float, level: float, phase: Phase) -> None:
        """Go where the engine's own words point to."""
        self._glances.rest_from_above()
        self._glances.side = 0
        self._phase, self._step = phase, 2
        self._levels.known = {}
        self._levels.center = max(1.0, float(round(level)))
        self._visit(now, self._levels.center if phase == "seek" else self._resting)

    def tick(self, now: float) -> None:
        """Think again, if there is enough to think about."""
        if self.is_fixed:
            return
        if not self._latency:
            self._grow_blind(now, _FIRST_MOST)
        elif self._phase == "climb":
            self._grow(now)
        elif now >= self._calm_at and self._is_falling(now):
            self._leave(now)
        elif self._settled_at is None:
            if now >= self._calm_at and self._has_arrived(now):
                self._settled_at = now
        elif self._is_enough(now) or self._is_hopeless():
            self._decide(now)

    def _grow_blind(self, now: float, most: int) -> None:
        """Credit growth before the first answer, for requests that take long."""
        if self.flying >= self.limit and now - self._since >= _FIRST_SECONDS and self.limit < most:
            self.limit = min(most, 2 * self.limit)
            self._target = float(self.limit)
            self._since = now

    def _grow(self, now: float) -> None:
        if self._evidence.count < max(24, self.limit / 6):
            return
        self._climb.target = self._target
        self._climb.take(self._evidence, self._mean_work, self.limit)
        self._target, self._evidence = self._climb.target, Evidence()
        if self._climb.is_over:
            levels = self._levels
            levels.center, levels.climbed = float(round(max(self._climb.seen))), self._climb.seen
            levels.set_edge(self._climb.edge, self._mean_work)
            self._phase, self._step = "seek", 2 if self._climb.has_fallen else 0
            self._visit(now, levels.center)

    def _visit(self, now: float, level: float) -> None:
        self._heard.forget()
        is_quick = self._latency * _QUICK_RATE < self.flying
        self._target = float(min(self._most, max(self._quick_least if is_quick else 1, round(level))))
        self.limit = min(self.limit, int(self._target))
        self._since, self._settled_at = now, None
        self._evidence, self._recent = Evidence(), Evidence()

    @property
    def _resting(self) -> float:
        """The level to stay at between looks."""
        return self._levels.center - self._reserve(round(self._levels.center))

    @property
    def _is_resting(self) -> bool:
        return self._phase == "hold" and not self._glances.side

    def _has_arrived(self, now: float) -> bool:
        """Whether the requests out are those of the level; fewer will do when no more are to be had."""
        if abs(self.flying - self._target) <= 0.02 * self._target:
            return True
        is_late = now - self._since > 2 * self._latency + _LATE_SECONDS
        return is_late and self.flying < self._target <= self.limit

    def _is_enough(self, now: float) -> bool:
        care = min(6.0, max(1.0, (self._noise / 0.01) ** 2))
        enough = care * min(400.0, max(32.0, self._target))
        if self._evidence.count < enough or now - self._since < max(_VISIT_SECONDS, self._latency):
            return False
        if self._evidence.mean_level < _FULL * self._target:
            self._evidence = Evidence()
            return False
        return True

    def _is_hopeless(self) -> bool:
        center = self._levels.known.get(self._levels.center)
        if self._evidence.count < 24 or self._is_resting or self._target == self._levels.center or not center:
            return False
        speed = self._evidence.seen(self._mean_work).speed
        return self._target * speed < _HOPELESS * self._levels.center * center.speed

    def _is_falling(self, now: float) -> bool:
        """Whether the last answers above, or at rest near an edge, tell of a fall long before those that began there could."""
        recent, levels = self._recent, self._levels
        if recent.count < 32 or now - self._since < _VISIT_SECONDS:
            return False
        center = levels.known.get(levels.center)
        is_exposed = self._target > levels.center or (self._is_resting and levels.edge < math.inf)
        if center and is_exposed and recent.mean_level > _FULL * levels.center:
            seen = recent.seen(self._mean_work)
            loss = math.log(levels.center * center.speed / (recent.mean_level * seen.speed))
            if loss > _LOSS + 5 * math.hypot(seen.error, center.error, levels.drift):
                return True
        self._recent = Evidence()
        return False

    def _leave(self, now: float) -> None:
        """Leave a level before its storm is whole, and let the engine come to rest at the center or below."""
        levels, seen = self._levels, self._recent.seen(self._mean_work)
        if self._is_resting:
            self._fall(now)
            self._glances.rest_after_fall()
            levels.known, levels.center = {}, max(1.0, float(round(_RETREAT * levels.center)))
            self._visit(now, self._resting)
            return
        levels.known[self._target] = Seen(seen.speed * self._recent.mean_level / self._target, seen.error)
        self._fall(now)
        if self._glances.side:
            self._glances.look_less(levels.drift)
        self._visit(now, levels.center)

    def _fall(self, now: float) -> None:
        self._levels.edge = min(self._levels.edge, self._target)
        self._calm_at = now + _CALM_LATENCIES * self._latency

    def _decide(self, now: float) -> None:
        found, before = self._evidence.seen(self._mean_work), self._levels.known.get(self._target)
        self._noise += 0.3 * (found.error - self._noise)
        if self._target > self._levels.center and self._is_hopeless():
            self._fall(now)
        if before is not None:
            off = abs(math.log(found.speed / before.speed))
            if off <= max(_CHANGE, 4 * math.hypot(found.error, before.error)):
                found = self._averaged(found, before)
            elif self._is_suspect:
                self._begin_anew()
            else:
                self._is_suspect = True
                self._visit(now, self._target)
                return
        self._is_suspect = False
        self._levels.known[self._target] = found
        if self._levels.is_outdated(self._mean_work):
            self._forget()
        self._move(now)

    def _averaged(self, found: Seen, before: Seen) -> Seen:
        """Return what a level gave of late; what it gave at the level of rest tells how the center would do now."""
        levels = self._levels
        self._lost = math.log(before.speed / found.speed)
        levels.drift += 0.2 * (min(abs(self._lost), _MOST_DRIFT) - levels.drift)
        speed = before.speed + 0.4 * (found.speed - before.speed)
        center = levels.known.get(levels.center)
        if self._is_resting and self._target != levels.center and center:
            levels.known[levels.center] = Seen(speed / before.speed * center.speed, center.error)
        return Seen(speed, math.hypot(0.6 * before.error, 0.4 * found.error))

    def _begin_anew(self) -> None:
        self._levels.known = {}
        self._phase, self._step = "seek", 1
        self._forget()

    def _forget(self) -> None:
        """What was too much once may be right for other answers."""
        self._levels.set_edge(math.inf, self._mean_work)
        self._glances.forget()

    def _move(self, now: float) -> None:
        """Choose the next level to look at: a neighbour of the best, else the best."""
        if self._phase == "hold":
            self._hold(now)
            return
        levels = self._levels
        levels.center = levels.least_good(is_rough=not self._step)
        level = self._next(levels)
        if level is None:
            self._phase, self._glances.side, levels.climbed = "hold", 0, {}
        self._visit(now, self._resting if level is None else level)

    def _next(self, levels: Levels) -> float | None:
        """Return the level to compare with the best; workers that share a replica compare only while they hold."""
        is_alone = self._workers == 1
        if is_alone and levels.is_climbing(self._target):
            above = levels.center * math.exp(_STEP_CLIMB)
            return levels.center * math.exp(_STEP_CAREFUL) if levels.is_beyond(above) else above
        if not self._has_jumped:
            self._has_jumped, knee = True, levels.knee()
            if knee < 0.9 * levels.center:
                return knee
        while is_alone and self._step < len(STEPS):
            for sign in (-1, 1) if self._step else (-1,):
                level = levels.neighbour(sign * STEPS[self._step])
                if level is not None:
                    return level
            self._step += 1
        return None

    def _hold(self, now: float) -> None:
        levels, glances = self._levels, self._glances
        if self._workers > 1 and glances.side and self._target != levels.center:
            self._visit(now, levels.center)
            return
        best, before = levels.better(), levels.center
        if best < before and not glances.side and self._lost > _CENTER_LOSS + 3 * levels.drift:
            levels.edge = min(levels.edge, before)
            glances.rest_after_fall()
        levels.center = best
        if glances.side and best != before:
            glances.look_more()
        elif glances.side:
            glances.look_less(levels.drift)
        has_room = self._heard.has_room() and self._heard.is_calm(now, self._latency)
        self._rest_or_look(now, glances.next_side(is_below_pointless=has_room))

    def _rest_or_look(self, now: float, side: int) -> None:
        levels, glances = self._levels, self._glances
        if glances.rest[side] > 0 or levels.center not in levels.known:
            self._visit(now, self._resting if glances.rest[side] > 0 else levels.center)
            return
        glances.side = side
        level = round(levels.center * math.exp(side * glances.stride))
        if side > 0 and levels.is_beyond(level):
            level = round(levels.center * math.exp(glances.least_stride(levels.drift)))
            if levels.is_beyond(level):
                levels.edge *= 1.02
                glances.look_less(levels.drift)
                self._visit(now, self._resting)
                return
        level += side if level == levels.center else 0
        kept = (levels.center, self._resting)
        levels.known = {at: levels.known[at] for at in kept if at in levels.known}
        self._visit(now, max(1.0, float(level)))

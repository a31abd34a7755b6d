"""How many requests one replica gets at once, found from what comes back. Pure: time and answers are arguments.

Little's law does the measuring. A request that took `latency` seconds for `work` tokens while `n` requests were out on
average says what the engine did at `n`: ``n · work / latency``. So every answer is evidence for the level that it lived
at, however late it comes, and no answer has to be thrown away after a change.

1. *Ramp*: one more for every answer, so the level doubles each latency, as long as throughput grows with it.
2. *Seek*: compare the best level with others a factor above and below, and halve the factor's logarithm.
3. *Hold*: stay, and look above and below now and then; what has changed much starts the search again.

Of levels that are as good the smallest wins, since a queue in the engine buys nothing. Workers that share a replica each
take the others for as busy as themselves, so that none grows by taking the others' part. What is to stay free (`Reserve`) is
taken off the level that was found: a limiter rests below it, and goes up to it and above only to look around.
"""

from __future__ import annotations

import math
from collections import deque
from typing import Literal

from pronk.engines.evidence import Evidence, Seen
from pronk.engines.gauges import Gauges
from pronk.engines.reserve import Reserve, nothing

Phase = Literal["ramp", "seek", "hold"]
_FIRST = 16
_FIRST_SECONDS = 2.0
_FIRST_MOST = 64
_PRICE = 0.015
"""How much of the throughput a level e times as high must gain, to be worth its queue."""
_STEPS = (0.35, 0.18, 0.09, 0.045)
_FLAT = 0.06
_STEP_HOLD = 0.08
_STEP_CLIMB = 0.3
_STEP_CAREFUL = 0.08
_VISIT_SECONDS = 2.0
_CHANGE = 0.15
_HOPELESS = 0.88
_CALM_KV = 0.3
_LATE_SECONDS = 0.5
_QUICK_RATE = 1000.0
_QUICK_LEAST = 64
"""An engine that answers a thousand times a second gets so many at least: the sender's own pauses cost more than a queue."""
_FULL = 0.85
_CALM_LATENCIES = 1.5
_EDGE_ROOM = 1.25
_LOOKS = 4
_LEAST_PATIENCE = 3
_MOST_PATIENCE = 48


Mark = tuple[float, float, int]
"""When a request began, the integral of requests out until then, and how many were out with it."""


class Limiter:
    """The limit of one replica as one worker sees it.

    Call `started` and `finished` around every request, and `tick` some times a second. `workers` share the replica;
    `reserve` says how much of what was found stays free.
    """

    def __init__(
        self, fixed: int | None = None, *, most: int = 1024, workers: int = 1, reserve: Reserve = nothing
    ) -> None:
        self.limit = fixed or _FIRST
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
        self._target = float(_FIRST)
        self._since = 0.0
        self._settled_at: float | None = None
        self._calm_at = 0.0
        self._evidence = Evidence()
        self._known: dict[float, Seen] = {}
        self._lived: dict[float, float] = {}
        self._doubts = 0
        self._edge = math.inf
        self._center = 0.0
        self._noise = 0.01
        self._looks: deque[Gauges] = deque(maxlen=_LOOKS)
        self._preemptions = -1.0
        self._preempted_at = -math.inf
        self._phase: Phase = "ramp"
        self._step = 0
        self._rest = {1: _LEAST_PATIENCE, -1: _LEAST_PATIENCE}
        self._patience = {1: _LEAST_PATIENCE, -1: _LEAST_PATIENCE}
        self._side = 0

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
        if self._phase == "ramp":
            self._evidence.add(level, work, latency)
            self._evidence.lived += self._area - area
        elif self._settled_at is not None and began >= self._settled_at:
            self._evidence.add((self._area - area) / latency, work, latency)
        if self.limit < self._target:
            self.limit += 1

    def refused(self, now: float) -> None:
        """Count an answer that says too many at once (429, 503)."""
        if not self.is_fixed and now - self._since > self._latency:
            self._center = max(1.0, round(0.8 * min(self._target, self.flying + 1)))
            self._known = {}
            self._phase, self._quick_least = "hold", 1
            if self._side:
                self._look_less()
            self._rest_at_center(now)

    def look(self, now: float, gauges: Gauges) -> None:
        """Take what the engine says of itself; about once a second.

        A queue that is all ours is given back at once. The first preemption of a ramp is the edge; later ones are left
        to the throughput, which may well be best with a few of them.
        """
        preempted = gauges.preemptions > self._preemptions >= 0
        self._preemptions = gauges.preemptions
        if preempted:
            self._preempted_at = now
        if self.is_fixed or self._workers * self.flying < 0.9 * (gauges.running + gauges.waiting):
            return
        self._looks.append(gauges)
        if self._phase == "ramp" and preempted and self._latency:
            self._edge = float(self.flying)
            self._settle(now, 0.8 * self.flying, "seek")
        elif len(self._looks) == _LOOKS and now - self._preempted_at > 3 * self._latency:
            seats = max(look.running for look in self._looks)
            queue = min(look.waiting for look in self._looks)
            if queue > max(1.0, 0.05 * seats):
                queue = 0.0 if self._reserve(round(seats)) else 0.04 * seats + 2
                self._settle(now, (seats + queue) / self._workers, "hold")
        elif not self._latency and gauges.waiting == 0 and gauges.kv_use < _CALM_KV:
            self._grow_blind(now, self._most)

    def _settle(self, now: float, level: float, phase: Phase) -> None:
        """Go where the engine's own words point to."""
        self._patience[1] = self._rest[1] = min(_MOST_PATIENCE, 2 * self._patience[1])
        self._phase, self._step, self._side, self._known = phase, 2, 0, {}
        self._center = max(1.0, float(round(level)))
        self._visit(now, self._center if phase == "seek" else self._resting)

    def tick(self, now: float) -> None:
        """Think again, if there is enough to think about."""
        if self.is_fixed:
            return
        if not self._latency:
            self._grow_blind(now, _FIRST_MOST)
        elif self._phase == "ramp":
            self._ramp(now)
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

    def _ramp(self, now: float) -> None:
        """Double as long as that pays, never beyond twice the level that is known to have paid."""
        evidence = self._evidence
        if evidence.count < max(24, self.limit / 6):
            return
        level, seen = evidence.mean_level, evidence.seen(self._mean_work)
        self._evidence = Evidence()
        best = self._best() if self._known else 0.0
        if level > best * 1.15:
            self._known[level], self._lived[level] = seen, evidence.mean_lived
            gained = math.log(level * seen.speed / (best * self._known[best].speed)) if best else 1.0
            has_paid = gained > 0.2 * math.log(level / best) if best else True
        else:
            has_paid = level * seen.speed > 0.93 * best * self._known[best].speed
        has_fallen = level * seen.speed < 0.93 * best * self._known[best].speed if best else False
        self._doubts = 0 if has_paid else self._doubts + 1
        if self._doubts == 2 or level > 0.9 * self._most:
            self._begin_seek(now, _EDGE_ROOM if has_fallen else math.inf)
        elif has_paid:
            self._target = min(float(self._most), max(self._target, 2.0 * level))

    def _begin_seek(self, now: float, room: float) -> None:
        self._center = self._lived[self._best()]
        self._edge = room * self._center
        self._known = {}
        self._phase, self._step = "seek", 0
        self._visit(now, self._center)

    def _best(self) -> float:
        return max(self._known, key=self._worth)

    def _least_good(self) -> float:
        """Return the smallest level that is as good as the best, as far as the noise lets us see.

        Long queues hide small differences, so the first long steps down go on until a loss is plain.
        """
        best = self._best()

        def is_good(level: float) -> bool:
            slack = 0.5 * self._error(level, best) if self._step else _FLAT
            return self._worth(level) >= self._worth(best) - slack

        return min(filter(is_good, self._known))

    def _error(self, level: float, other: float) -> float:
        """Return the standard error of the difference in worth."""
        return math.hypot(self._known[level].error, self._known[other].error)

    def _worth(self, level: float) -> float:
        """Return the logarithm of the throughput at a level, less its price; the other workers are at the center."""
        others = (self._workers - 1) * (self._center or level)
        return math.log((level + others) * self._known[level].speed) - _PRICE * math.log(level)

    def _visit(self, now: float, level: float) -> None:
        self._looks.clear()
        is_quick = self._latency * _QUICK_RATE < self.flying
        self._target = float(min(self._most, max(self._quick_least if is_quick else 1, round(level))))
        self.limit = min(self.limit, int(self._target))
        self._since, self._settled_at = now, None
        self._evidence = Evidence()

    @property
    def _resting(self) -> float:
        """The level to stay at between looks."""
        return self._center - self._reserve(round(self._center))

    @property
    def _is_resting(self) -> bool:
        return self._phase == "hold" and not self._side

    def _rest_at_center(self, now: float) -> None:
        self._visit(now, self._resting)

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
        if self._evidence.count < 24 or self._is_resting or self._target == self._center:
            return False
        if self._center not in self._known:
            return False
        speed = self._evidence.seen(self._mean_work).speed
        return self._target * speed < _HOPELESS * self._center * self._known[self._center].speed

    def _decide(self, now: float) -> None:
        found, before = self._evidence.seen(self._mean_work), self._known.get(self._target)
        self._noise += 0.3 * (found.error - self._noise)
        if self._target > self._center and self._is_hopeless():
            self._edge = min(self._edge, self._target)
            self._calm_at = now + _CALM_LATENCIES * self._latency
        if before is not None:
            off = abs(math.log(found.speed / before.speed))
            if off > max(_CHANGE, 4 * math.hypot(found.error, before.error)):
                self._known, self._edge = {}, math.inf
                self._phase, self._step = "seek", 1
                self._patience = {1: _LEAST_PATIENCE, -1: _LEAST_PATIENCE}
            else:
                speed = before.speed + 0.4 * (found.speed - before.speed)
                found = Seen(speed, math.hypot(0.6 * before.error, 0.4 * found.error))
                self._carry_over(speed / before.speed)
        self._known[self._target] = found
        self._move(now)

    def _carry_over(self, change: float) -> None:
        """What the engine does at the level of rest tells how it would do now at the center."""
        if self._is_resting and self._target != self._center and self._center in self._known:
            center = self._known[self._center]
            self._known[self._center] = Seen(change * center.speed, center.error)

    def _move(self, now: float) -> None:
        """Choose the next level to look at: a neighbour of the best, else the best."""
        if self._phase == "hold":
            best = self._best() if self._center in self._known else self._center
            if best != self._center and self._worth(best) > self._worth(self._center) + 0.5 * self._error(
                best, self._center
            ):
                self._center = best
            self._hold(now)
            return
        self._center = self._least_good()
        if self._is_climbing():
            above = self._center * math.exp(_STEP_CLIMB)
            careful = self._center * math.exp(_STEP_CAREFUL)
            self._visit(now, above if above < 0.97 * self._edge else careful)
            return
        while self._step < len(_STEPS):
            for sign in (-1, 1) if self._step else (-1,):
                level = self._neighbour(sign * _STEPS[self._step])
                if level is not None:
                    self._visit(now, level)
                    return
            self._step += 1
        self._phase, self._side = "hold", 0
        self._rest_at_center(now)

    def _is_climbing(self) -> bool:
        """Whether the level just looked at is the best by so much that the next should be well above it."""
        below = [level for level in self._known if level < self._target]
        if (
            self._phase != "seek"
            or not below
            or self._target != max(self._known)
            or self._center != self._target
        ):
            return False
        last = max(below)
        step = math.log(self._target / last)
        return self._target < self._most and self._worth(self._target) - self._worth(last) > 0.4 * step

    def _neighbour(self, step: float) -> float | None:
        """Return the level a step away, or None when something about there is known."""
        level = round(self._center * math.exp(step))
        if level < 1 or level > self._most or level == self._center or level >= 0.97 * self._edge:
            return None
        near = 0.6 * abs(step)
        if any(abs(math.log(known / level)) < near and known != self._center for known in self._known):
            return None
        return float(level)

    def _hold(self, now: float) -> None:
        if self._side:
            self._judge_look()
        for side in (1, -1):
            self._rest[side] -= 1
        side = 1 if self._rest[1] <= self._rest[-1] else -1
        if self._rest[side] > 0 or self._center not in self._known:
            self._visit(now, self._resting if self._rest[side] > 0 else self._center)
            return
        self._side = side
        level = round(self._center * math.exp(side * _STEP_HOLD))
        level += side if level == self._center else 0
        self._known = {at: self._known[at] for at in (self._center, self._resting) if at in self._known}
        self._visit(now, max(1.0, float(level)))

    def _judge_look(self) -> None:
        """Look again soon where it was worth it, ever more rarely where it was not."""
        if self._center != self._target:
            self._look_less()
            return
        self._patience[self._side] = self._rest[self._side] = _LEAST_PATIENCE
        self._side = 0

    def _look_less(self) -> None:
        side, self._side = self._side, 0
        self._patience[side] = self._rest[side] = min(_MOST_PATIENCE, 2 * self._patience[side])

"""Hands points to an engine and their answers to the store, so that every finished task is kept."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field

from configs.errors import InputError
from mho.sweep.engines.engine import Engine, WorkerDied
from mho.sweep.plan import Point, chip_of
from mho.sweep.progress import Meter
from mho.sweep.store import PointStatus, Row, Store
from mho.sweep.study import Study
from mho.sweep.template import TIME, Config
from mho.sweep.work import Answer, PointBatch, perform
from workloads import WORKLOADS

_TASK_S = 1.0  # of cheap points: about what a kill may cost
_MOST_CHEAP, _MOST_CHIPS = 200, 8
_WAIT_S = 0.5
_DIED = "the worker died at this point twice, the second time alone: killed, out of memory, or crashed in compiled code"


@dataclass(frozen=True)
class Ready:
    """A point that this process has claimed, with its configuration."""

    point: Point
    config: Config


@dataclass
class Runner:
    """The state of a running sweep.

    ``queue``: points to do; ``alone``: points of a shared run that failed, to be run singly; ``suspects``: points that
    were under way when a worker died, each to have the engine to itself, so that the one to blame is found.
    """

    study: Study
    store: Store
    statuses: dict[str, PointStatus]
    engine: Engine
    meter: Meter
    queue: deque[Point] = field(default_factory=deque)
    alone: deque[Point] = field(default_factory=deque)
    suspects: deque[Point] = field(default_factory=deque)
    accused: set[int] = field(default_factory=set)
    flying: dict[Future[list[Answer]], list[Ready]] = field(default_factory=dict)
    mean_s: float | None = None
    workers: int = 1

    def run(self, points: Iterable[Point]) -> None:
        """Compute the points; those that another process computes meanwhile are waited for."""
        self.queue = deque(points)
        while self.queue or self.alone or self.suspects or self.flying:
            self._count_workers()
            while batch := self._next():
                self._submit(batch)
            for future in wait(self.flying, timeout=_WAIT_S, return_when=FIRST_COMPLETED).done:
                self._take(future)

    def _count_workers(self) -> None:
        """Those of a cluster come and go; tasks that find none wait for one."""
        found = self.engine.workers
        if not found and self.workers:
            self.meter.write("the cluster has no workers; waiting for one")
        self.workers = found

    def _next(self) -> list[Point]:
        """The points of the next task, none while the engine has enough to do: a task waits for each busy worker."""
        enough = 1 if self.workers == 1 else 2 * max(1, self.workers)
        tested = any(ready.point.index in self.accused for batch in self.flying.values() for ready in batch)
        if tested or len(self.flying) >= enough or (self.suspects and self.flying):
            return []
        for few in (self.suspects, self.alone):
            if few:
                return [few.popleft()]
        if not self.queue:
            return []
        return self._chips() if self.study.template.grouped else self._cheap()

    def _cheap(self) -> list[Point]:
        """About a second of points, one at first, and at the end no more than leave work for all workers."""
        count = 1 if self.mean_s is None else min(_MOST_CHEAP, max(1, round(_TASK_S / max(self.mean_s, 1e-4))))
        count = min(count, max(1, len(self.queue) // (2 * max(1, self.workers))))
        return [self.queue.popleft() for _ in range(count)]

    def _chips(self) -> list[Point]:
        """A few chips of one training, each at all its times."""
        training = self.study.plan.training_of(self.queue[0])
        left = {chip_of(point) for point in self.queue if self.study.plan.training_of(point) == training}
        together = WORKLOADS[self.study.kind].independent_variants
        most = min(_MOST_CHIPS, -(-len(left) // max(1, self.workers))) if together else 1
        batch: list[Point] = []
        chips: set[str] = set()
        while self.queue and self.study.plan.training_of(self.queue[0]) == training:
            chips.add(chip_of(self.queue[0]))
            if len(chips) > most:
                break
            batch.append(self.queue.popleft())
        return batch

    def _submit(self, batch: list[Point]) -> None:
        ready, keys = [], []
        for point in batch:
            try:
                config = self.study.template.config(point.coordinates)
            except InputError as error:
                self._keep([Ready(point, Config({}, self.study.asked(point)))], [_wrong(error)])
                continue
            one = self.statuses.get(config.digest)
            if one is not None and one.state == "done" and self.study.counts(one, point):
                # Written differently, another point is the same.
                keys.append((self.study.asked(point), config.digest))
                self.meter.advance(1, 0)
            else:
                ready.append(Ready(point, config))
        if keys:
            self.store.write([], keys)
        mine = self.store.claim({each.config.digest: self.statuses.get(each.config.digest) for each in ready})
        self._leave([each for each in ready if each.config.digest not in mine])
        ready = [each for each in ready if each.config.digest in mine]
        if ready:
            task = PointBatch(
                kind=self.study.kind,
                configs=tuple(each.config.data for each in ready),
                t_s=tuple(dict(each.point.coordinates).get(TIME) for each in ready),
                data=self.study.data and self.study.data.expanduser().resolve(),
                folder=self.store.folder.resolve() / "trained",
                code=self.study.code,
                device=self.study.compute,
            )
            self.flying[self.engine.submit(perform, task)] = ready

    def _leave(self, others: list[Ready]) -> None:
        """Points that another process has claimed, or has finished since."""
        if not others:
            return
        statuses = self.store.statuses()[1]
        waiting = []
        for each in others:
            name = each.config.digest
            if name in statuses and statuses[name] != self.statuses.get(name):
                self.statuses[name] = statuses[name]
                self.meter.advance(1, int(statuses[name].state == "failed"))
            else:
                waiting.append(each.point)
        if waiting and not self.flying and len(self.queue) == 0:
            time.sleep(_WAIT_S)
        self.queue.extend(waiting)

    def _take(self, future: Future[list[Answer]]) -> None:
        ready = self.flying.pop(future)
        try:
            answers = future.result()
        except WorkerDied:
            if len(ready) == 1 and ready[0].point.index in self.accused:
                self.accused.discard(ready[0].point.index)
                self._keep(ready, [Answer(error=_DIED)])
                return
            if not self.suspects:
                self.meter.write("a worker died; what was under way is computed again, point by point")
            self.suspects.extend(each.point for each in ready)
            self.accused.update(each.point.index for each in ready)
            return
        answers = [self._of_these_data(each, answer) for each, answer in zip(ready, answers, strict=True)]
        self.accused -= {each.point.index for each in ready}
        if len(ready) > 1 and self.study.template.grouped and any(answer.error for answer in answers):
            # One bad chip spoils the run that it shares: each by itself shows which one it is.
            self.alone.extend(each.point for each, answer in zip(ready, answers, strict=True) if answer.error)
            pairs = [(each, answer) for each, answer in zip(ready, answers, strict=True) if not answer.error]
            ready, answers = [each for each, _ in pairs], [answer for _, answer in pairs]
        self._keep(ready, answers)

    def _of_these_data(self, ready: Ready, answer: Answer) -> Answer:
        """An answer from recordings that are not those of the sweep is none."""
        read, asked = answer.artefacts.get("data"), self.study.data_of(ready.point)
        if answer.error or read is None or not WORKLOADS[self.study.kind].same_data or read == asked:
            return answer
        return Answer(
            error=f"the worker read other recordings (digest {read[:12]}) than the sweep (digest {asked[:12]})"
        )

    def _keep(self, ready: Sequence[Ready], answers: Sequence[Answer]) -> None:
        rows, keys = [], []
        for each, answer in zip(ready, answers, strict=True):
            rows.append(
                Row(
                    digest=each.config.digest,
                    state="failed" if answer.error else "done",
                    code=self.study.code,
                    data=self.study.data_of(each.point),
                    coordinates=each.point.coordinates,
                    outputs=answer.outputs,
                    artefacts=answer.artefacts,
                    config=each.config.data,
                    error=answer.error,
                    seconds=answer.seconds,
                )
            )
            keys.append((self.study.asked(each.point), each.config.digest))
            if not answer.error:
                self.mean_s = answer.seconds if self.mean_s is None else 0.8 * self.mean_s + 0.2 * answer.seconds
        self.store.write(rows, keys)
        self.statuses.update({row.digest: PointStatus(row.state, row.code, row.data) for row in rows})
        self.meter.advance(len(rows), sum(row.state == "failed" for row in rows))


def _wrong(error: InputError) -> Answer:
    return Answer(error="; ".join(error.problems))

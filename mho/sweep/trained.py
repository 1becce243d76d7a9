"""Keyword spotting at many points with one training: where hardware alone differs, networks come from a folder."""

from __future__ import annotations

import copy
import fcntl
import json
from collections import OrderedDict
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save

from devices import Stream
from mappings.network.aware import Aware
from mho.config.read import digest
from mho.files import write_atomic
from workloads.kws.features import MFCC, cached_mfcc
from workloads.kws.find import Finding, find_clips
from workloads.kws.model import KeywordNet
from workloads.kws.run import Data, KeywordRun, Prepared, Trained, fewer
from workloads.kws.tables import Tables
from workloads.kws.training import Stage
from workloads.recordings.clips import Clips
from workloads.result import Result

_HELD = 2  # prepared splits kept in a process: the one at work and, at a border between two trainings, the next
_PREPARED: OrderedDict[tuple[str, int], Prepared] = OrderedDict()


@dataclass
class SharedRun(KeywordRun):
    """A run whose networks are kept in ``folder``, by all that their training sees.

    ``of`` is the digest of the experiment without chip, variants and judging, and of the code. A second process that
    needs a network which is being trained waits for it. A stored network is the trained one to the bit.
    """

    folder: Path = Path()
    of: str = ""
    clips_digest: str = ""

    def run(self, data: Path | None) -> Result:
        """All splits, all variants, all times, on recordings that this process holds already."""
        experiment = self.experiment
        with self.stage("data"):
            clips, features, notes = recordings(experiment.data, experiment.features.mfcc, data)
            self.clips_digest = clips.digest
        tables = Tables(experiment, clips, notes=[*clips.notes, *notes])
        for split in range(experiment.data.splits):
            self._one_split(split, clips, features, tables)
        with self.stage("cost"):
            return tables.result(self.stages)

    def _prepare(self, split: int, clips: Clips, features: Any, rng: Stream) -> Prepared:
        key = (f"{self.of} {clips.digest}", split)
        if key not in _PREPARED:
            _PREPARED[key] = super()._prepare(split, clips, features, rng)
        _PREPARED.move_to_end(key)
        while len(_PREPARED) > _HELD:
            _PREPARED.popitem(last=False)
        return _PREPARED[key]

    def _train(
        self, net: KeywordNet, data: Prepared, stage: Stage, aware: Aware | None, rng: Stream, name: str
    ) -> Trained:
        said = [self.of, self.clips_digest, data.number, list(rng.path), repr(aware), net.bias_ih_l0.requires_grad]
        file = self.folder / f"{digest({'training': said})[:32]}.safetensors"
        self.folder.mkdir(parents=True, exist_ok=True)
        with file.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            found = _read(file, net)
            if found is None:
                found = super()._train(net, data, stage, aware, rng, name)
                tensors = {key: tensor.contiguous() for key, tensor in found[0].state_dict().items()}
                write_atomic(file, save(tensors, {"learning": json.dumps(found[1])}))
        return found


@lru_cache(maxsize=1)
def recordings(which: Data, how: MFCC, data: Path | None) -> tuple[Clips, Any, tuple[str, ...]]:
    """The clips of an experiment and their features, found, decoded and computed once in this process."""
    clips = find_clips(data, seed=which.split_seed, finding=Finding(full=which.full))
    clips = fewer(clips, which.clips, Stream.root(which.split_seed))
    return clips, *cached_mfcc(clips, how)


def _read(file: Path, net: KeywordNet) -> Trained | None:
    """The network in the file and its learning curve; None where there is none that can be read."""
    try:
        tensors = load_file(file)
        with safe_open(file, "pt") as opened:
            rows = json.loads((opened.metadata() or {})["learning"])
        trained = copy.deepcopy(net)
        trained.load_state_dict(tensors)
    except (FileNotFoundError, SafetensorError, KeyError, ValueError, RuntimeError):
        return None
    return trained, rows

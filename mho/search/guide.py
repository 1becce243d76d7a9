"""Which configurations a search tries next: optuna proposes, and none is tried twice while others can be found."""

from __future__ import annotations

import warnings
from typing import Any

import optuna
from optuna.trial import TrialState

from mho.search.spec import Choice, Search
from mho.search.trial import Trial
from mho.sweep.spec import one_or_many, same, tidy
from mho.sweep.template import VARIANT, Coordinates

_ATTEMPTS = 32  # to find a configuration that was not tried yet


class Guide:
    """Optuna's study of a search, in memory: the same proposals after the same results."""

    def __init__(self, search: Search) -> None:
        self.search, self._study = search, optimiser(search)
        self._random = optuna.samplers.RandomSampler(seed=search.sampler.seed)
        self._tried: set[str] = set()
        self._asked: dict[int, optuna.Trial] = {}

    def batch(self, first: int, count: int) -> list[Trial]:
        """The next trials, numbered from ``first``."""
        usual, found = self._study.sampler, []
        for number in range(first, first + count):
            for attempt in range(_ATTEMPTS):
                # Where the sampler repeats what was tried, a random draw finds what is left, if anything is.
                self._study.sampler = usual if attempt < _ATTEMPTS // 4 else self._random
                ask = self._study.ask()
                trial = Trial(number, self._suggested(ask))
                if repr(trial.coordinates) not in self._tried or attempt == _ATTEMPTS - 1:
                    break
                self._study.tell(ask, state=TrialState.FAIL)
            self._tried.add(repr(trial.coordinates))
            self._asked[number] = ask
            found.append(trial)
        self._study.sampler = usual
        return found

    def tell(self, trial: Trial) -> None:
        """What came of a trial."""
        ask = self._asked.pop(trial.number)
        if all(name in trial.figures for name in self.search.constraints):
            for name, excess in zip(self.search.constraints, trial.excess(self.search), strict=True):
                ask.set_constraint(name, excess)
        if trial.state == "done":
            self._study.tell(ask, trial.aimed(self.search))
        else:
            self._study.tell(ask, state=TrialState.PRUNED if trial.state == "pruned" else TrialState.FAIL)

    def sampled(self, count: int) -> list[Trial]:
        """So many trials as they would be chosen if none had a result."""
        return [Trial(number, self._suggested(self._study.ask())) for number in range(count)]

    def _suggested(self, ask: optuna.Trial) -> Coordinates:
        """What optuna chooses for every setting that exists beside the earlier ones."""
        chosen: dict[str, Any] = {}
        variants = self.search.variants
        if len(variants) > 1:
            chosen[VARIANT] = variants[ask.suggest_categorical(VARIANT, range(len(variants)))]
        elif variants:
            chosen[VARIANT] = variants[0]
        for path, choice in self.search.space.items():
            holds = (
                key in chosen and any(same(chosen[key], value) for value in one_or_many(wanted))
                for key, wanted in choice.when.items()
            )
            if all(holds):
                chosen[path] = _chosen(ask, path, choice)
        return tuple(chosen.items())


def optimiser(search: Search) -> optuna.Study:
    """An optuna study in memory with the sampler that the file names."""
    how = search.sampler
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        sampler: optuna.samplers.BaseSampler
        if how.method == "tpe":
            sampler = optuna.samplers.TPESampler(
                n_startup_trials=how.startup,
                multivariate=True,
                group=True,
                constant_liar=True,
                seed=how.seed,
            )
        elif how.method == "nsga2":
            sampler = optuna.samplers.NSGAIISampler(population_size=how.population, seed=how.seed)
        elif how.method == "qmc":
            sampler = optuna.samplers.QMCSampler(scramble=True, seed=how.seed)
        else:
            sampler = optuna.samplers.RandomSampler(seed=how.seed)
        return optuna.create_study(directions=list(search.objectives.values()), sampler=sampler)


def _chosen(ask: optuna.Trial, path: str, choice: Choice) -> Any:
    if choice.values is not None:
        # Optuna's categories are plain values; a setting may be a mapping.
        return choice.values[ask.suggest_categorical(path, range(len(choice.values)))]
    assert choice.first is not None
    assert choice.last is not None
    log = choice.scale == "log"
    if choice.whole:
        return ask.suggest_int(path, round(choice.first), round(choice.last), log=log)
    return tidy(ask.suggest_float(path, choice.first, choice.last, log=log))

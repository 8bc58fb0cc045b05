"""Where a weaker model's solutions come from, and who says which of them are wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from coderm_tasks.datasets.own import OWN
from coderm_tasks.errors import ConfigError, InputError
from coderm_tasks.export.spool import Spool
from coderm_tasks.files import iterate_samples
from coderm_tasks.generation.asking import run_to_end
from coderm_tasks.generation.backends import make_backend, opened
from coderm_tasks.generation.base import Generated, ProgressCallback
from coderm_tasks.generation.solutions import SamplePlan, check_samples, open_sample_log, write_solutions
from coderm_tasks.groundtruth import grade
from coderm_tasks.labels import read_sample_labels
from coderm_tasks.model import Problem
from coderm_tasks.model_config import ModelConfig
from coderm_tasks.synth.model import WeakerSolutions
from executor import Executor

__all__ = ["WeakerPlan", "WeakerSource"]

BY_LABELS = "labels file"
BY_TRUTH = "ground truth of the data set"
BY_TESTS = "the accepted tests: wrong is what fails one of them"


class WeakerPlan(Struct, frozen=True, kw_only=True):
    """What the user gave: a file of samples, or a model that writes them; neither for no such step."""

    samples: Path | None = None
    labels: Path | None = None
    config: ModelConfig | None = None
    n: int = 10
    """Solutions per problem that the model writes; CodeRM's own number."""

    def __post_init__(self) -> None:
        if self.samples is not None and self.config is not None:
            raise ConfigError("got weaker samples and a weaker model: expected one of them; leave the other out")
        if self.labels is not None and self.samples is None:
            raise ConfigError("got weaker labels without weaker samples: expected the samples they are of; give both")
        if self.n < 1:
            raise ConfigError(f"--weaker-n is {self.n}: expected at least 1")


class WeakerSource:
    """The solutions, in a spool on the disk, with their labels as far as somebody knows them."""

    def __init__(self, plan: WeakerPlan, spool: Spool) -> None:
        self._plan = plan
        self._spool = spool
        self._labels: Mapping[str, Mapping[int, bool]] | None = None

    @property
    def given(self) -> bool:
        """Whether there is such a step."""
        return self._plan.samples is not None or self._plan.config is not None

    def judge(self, problems: Sequence[Problem]) -> str:
        """Who says which solutions are wrong."""
        if self._plan.labels is not None:
            return BY_LABELS
        return BY_TESTS if any(problem.dataset == OWN for problem in problems) else BY_TRUTH

    def read(self, everything: Sequence[Problem]) -> None:
        """Read the files, if there are any.

        Raises:
            InputError: a file that is damaged, or labels that do not fit the samples.
        """
        if self._plan.samples is None:
            return
        known = {problem.task_id: problem for problem in everything}
        order = []
        for _, solution in iterate_samples(self._plan.samples, known):
            self._spool.add(solution.task_id, solution.code)
            order.append(known[solution.task_id].task_id)
        if self._plan.labels is None:
            return
        counts = dict(self._spool.counts())
        self._labels = read_sample_labels(self._plan.labels, counts, str(self._plan.samples), order)
        for task_id, count in counts.items():
            if len(self._labels.get(task_id, ())) < count:
                raise InputError(
                    f"{self._plan.labels}: got {len(self._labels.get(task_id, ()))} labels for {count} samples of "
                    f"{task_id}; expected one each; make them with coderm evaluate, or leave them out"
                )

    def sample(
        self, problems: Sequence[Problem], store: Path, dataset: str, seed: int, progress: ProgressCallback | None
    ) -> Generated | None:
        """Let the weaker model write, if there is one; answers are kept in ``store``.

        Raises:
            ConfigError, GenerationError, StoreError: as :func:`coderm_tasks.generation.solutions.write_solutions`.
        """
        config = self._plan.config
        if config is None:
            return None
        plan = SamplePlan(config=config, problems=tuple(problems), n=self._plan.n, seed=seed, dataset=dataset)
        check_samples(plan)

        async def run() -> Generated:
            with open_sample_log(plan, store) as answers:
                async with opened(make_backend(config)) as backend:
                    await backend.check(plan.longest_prompts())
                    return await write_solutions(plan, backend, answers, self._take, progress)

        return run_to_end(run())

    def of(self, executor: Executor, problems: Sequence[Problem]) -> dict[str, WeakerSolutions]:
        """The solutions of these problems by task id, empty ones left out.

        Raises:
            SandboxError, DatasetError: as :func:`coderm_tasks.groundtruth.grade`.
        """
        wanted = [problem for problem in problems if self._spool.count(problem.task_id)]
        texts = {problem.task_id: self._spool.texts(problem.task_id) for problem in wanted}
        labels = self._labelled(executor, wanted, texts)
        found = {}
        for task_id, codes in texts.items():
            kept = [index for index, code in enumerate(codes) if code.strip()]
            of_problem = labels.get(task_id)
            correct = None if of_problem is None else tuple(of_problem[index] for index in kept)
            found[task_id] = WeakerSolutions(tuple(codes[index] for index in kept), correct)
        return found

    def _labelled(
        self, executor: Executor, problems: Sequence[Problem], texts: Mapping[str, tuple[str, ...]]
    ) -> Mapping[str, Mapping[int, bool]]:
        if self._labels is not None:
            return self._labels
        if self.judge(problems) == BY_TESTS:
            return {}
        grades = grade(executor, problems, [texts[problem.task_id] for problem in problems])
        return {
            problem.task_id: {index: one.plus for index, one in enumerate(of_problem)}
            for problem, of_problem in zip(problems, grades, strict=True)
        }

    def _take(self, task_id: str, codes: tuple[str, ...], means: tuple[float, ...]) -> None:
        for code in codes:
            self._spool.add(task_id, code)

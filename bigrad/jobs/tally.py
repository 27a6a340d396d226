"""Keep count of a running job: what is left, what is done, how fast."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence

from bigrad.errors import JobError
from bigrad.jobs.journal import Journal
from bigrad.jobs.report import Progress
from bigrad.jobs.run import Done, Stage, Task

__all__ = ["Tally"]


class Tally:
    """What of a job is done, told to its journal and to whoever asked.

    Parameters
    ----------
    stages : sequence of Stage
        All that there is to do.
    journal : Journal
        What of it is done.
    sizes : mapping of str to int
        Bytes of results, by stage; other stages write none.
    ceiling : int
        Bytes that a process may hold.
    report : callable or None
        Called with a `Progress` when a task is done, and by `tell`.
    """

    def __init__(
        self,
        stages: Sequence[Stage],
        journal: Journal,
        sizes: Mapping[str, int],
        ceiling: int,
        report: Callable[[Progress], None] | None,
    ) -> None:
        self.done = Done()
        self.stages = stages
        self._journal = journal
        self._ceiling = ceiling
        self._report = report
        self._began = time.perf_counter()
        counted = [stage for stage in stages if stage.name in sizes]
        self._blocks = sum(stage.steps for stage in counted)
        self._bytes = sum(sizes.values())
        self.resumed = sum(len(journal.done(stage.name)) for stage in counted)
        # Exact where blocks are of one size, near enough for a bar elsewhere.
        self._bytes_resumed = sum(
            round(sizes[stage.name] * len(journal.done(stage.name)) / max(stage.steps, 1))
            for stage in counted
        )

    def tasks(self) -> Iterator[Task]:
        """Yield what is left to do."""
        for number, stage in enumerate(self.stages):
            for first, stop in list(self._journal.done(stage.name).missing(stage.steps)):
                for task in stage.tasks(first, stop):
                    yield Task(number, *task)

    def finished(self, task: Task, done: Done) -> None:
        """Take note of a task, all of which is done or, where the job was stopped, a part."""
        self._journal.record(self.stages[task.stage].name, task.first, task.first + done.steps)
        self.done += done
        self.tell()

    def tell(self) -> None:
        """Tell whoever asked where the job stands."""
        if self._report is not None:
            self._report(self._progress())

    def check(self) -> None:
        """Raise where anything is left to do.

        Raises
        ------
        JobError
            Which would be a mistake of bigrad's own.
        """
        left = next(self.tasks(), None)
        if left is not None:
            msg = f"the job came to its end with steps left to do, {left}: please report this"
            raise JobError(msg)

    def _progress(self) -> Progress:
        seconds = time.perf_counter() - self._began
        rate = self.done.written / max(seconds, 1e-9)
        written = self._bytes_resumed + self.done.written
        return Progress(
            blocks_done=self.resumed + self.done.blocks,
            blocks=self._blocks,
            blocks_resumed=self.resumed,
            bytes_read=self.done.read,
            bytes_written=self.done.written,
            bytes_copied=self.done.copied,
            bytes_done=written,
            bytes=self._bytes,
            seconds=seconds,
            rate=rate,
            seconds_left=max(self._bytes - written, 0) / rate if rate else None,
            peak_memory=self.done.peak or None,
            ceiling=self._ceiling,
        )

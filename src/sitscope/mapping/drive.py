"""Who does the work: this process, workers of their own on this machine, or a Dask cluster?"""

import logging
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from sitscope.errors import BadInput, Unfinished
from sitscope.mapping.work import one_torch_thread

TRIES = 10
"""Workers that may die over the same task before it is the task that is to blame."""

ENVIRONMENT = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
"""Of our workers. distributed's own has them give memory back to the system at each chance, and fetch it again: with
that, two workers are slower than one."""

Task = Any
"""A part of the work, small and hashable: a block of a scene, or a training."""

Job = Any
"""job(task) does a task and gives it back; the same again does no harm. job.folder is where it writes. Small, since it
travels to other processes."""

Work = Callable[[Sequence[Task], Job], Iterator[Task]]
"""(tasks, job) -> each task when it is done, in any order."""


def in_threads(workers: int) -> Work:
    """In this process, so many tasks at once."""

    def work(tasks: Sequence[Task], job: Job) -> Iterator[Task]:
        with one_torch_thread():
            if workers == 1:
                yield from map(job, tasks)
                return
            pool = ThreadPoolExecutor(workers)
            try:
                yield from (done.result() for done in as_completed([pool.submit(job, task) for task in tasks]))
            finally:
                pool.shutdown(cancel_futures=True)

    return work


def on_workers(workers: int) -> Work:
    """In processes of their own, on this machine alone: nothing listens beyond it."""

    def work(tasks: Sequence[Task], job: Job) -> Iterator[Task]:
        import dask
        from distributed import Client, LocalCluster

        options = {"threads_per_worker": 1, "processes": True, "host": "127.0.0.1", "dashboard_address": "127.0.0.1:0"}
        quiet = logging.CRITICAL
        # the size of the blocks keeps the workers within their memory; killed for it, they would only begin again
        with (
            dask.config.set({"distributed.nanny.pre-spawn-environ": ENVIRONMENT}),
            LocalCluster(n_workers=workers, memory_limit=0, silence_logs=quiet, **options) as cluster,  # type: ignore[no-untyped-call]
            Client(cluster) as client,  # type: ignore[no-untyped-call]
        ):
            yield from _on(client, tasks, job)

    return work


def on_cluster(address: str) -> Work:
    """On the Dask cluster of this scheduler, tcp://host:8786; its workers read and write the same folders.

    Raises BadInput where nobody answers, and where a worker has another sitscope or does not see the folder.
    """

    def work(tasks: Sequence[Task], job: Job) -> Iterator[Task]:
        with _client(address) as client:
            _require_alike(client, address, job.folder)
            yield from _on(client, tasks, job)

    return work


def require_workers(address: str) -> None:
    """Raise BadInput where no scheduler answers at this address or no worker is there: before anything is written."""
    with _client(address) as client:
        if not client.scheduler_info()["workers"]:
            raise _no_workers(address)


@contextmanager
def _client(address: str) -> Iterator[Any]:
    from distributed import Client

    try:
        client = Client(address, timeout="10s")  # type: ignore[no-untyped-call]
    except (OSError, ValueError, TypeError) as error:
        raise BadInput(
            "scheduler",
            f"no Dask scheduler answers at {address!r} ({error or type(error).__name__}). Start one (dask scheduler, "
            "dask worker), and give its address, such as tcp://127.0.0.1:8786; or leave it out and say --workers.",
        ) from error
    with client:
        yield client


def _require_alike(client: Any, address: str, folder: Path) -> None:
    there = client.run(_here, str(folder))
    if not there:
        raise _no_workers(address)
    mine = version("sitscope")
    for worker, (theirs, sees) in there.items():
        if theirs != mine:
            remedy = "Install the same on all."
            raise BadInput("scheduler", f"the worker {worker} has sitscope {theirs}, here it is {mine}. {remedy}")
        if not sees:
            remedy = "Name a place that all of them share, for the images too."
            raise BadInput("out", f"the worker {worker} does not see the folder {folder}. {remedy}")


def _no_workers(address: str) -> BadInput:
    remedy = f"Start some: dask worker {address}."
    return BadInput("scheduler", f"the scheduler at {address} has no workers. {remedy}")


def _here(folder: str) -> tuple[str, bool]:
    return version("sitscope"), Path(folder).is_dir()


def _on(client: Any, tasks: Sequence[Task], job: Job) -> Iterator[Task]:
    """Each task goes to another worker when its own dies."""
    from distributed import KilledWorker
    from distributed import as_completed as completed

    tries = dict.fromkeys(tasks, 0)

    def send(task: Task) -> Any:
        return client.submit(job, task, pure=False)

    waiting = {send(task): task for task in tasks}
    left = completed(list(waiting))  # type: ignore[no-untyped-call]
    try:
        for future in left:
            task = waiting.pop(future)
            error = future.exception()
            if isinstance(error, KilledWorker) and tries[task] < TRIES:
                tries[task] += 1
                again = send(task)
                waiting[again] = task
                left.add(again)  # type: ignore[no-untyped-call]
                continue
            if isinstance(error, KilledWorker):
                raise Unfinished(
                    f"{tries[task]} workers died over the same block or training, most likely for lack of memory. What "
                    "is done is kept: start again with fewer workers or, for maps, less --memory, which makes smaller "
                    "blocks of what is not begun."
                )
            if error is not None:
                raise error
            yield task
    finally:
        client.cancel(list(waiting), force=True)

"""Does any file that somebody else made break a reader? Files are spoiled at random and read.

Whatever a file holds, a reader may only refuse it with BadInput. Each reader works in a process of its own, which may
take 8 GB, so that a crash of a library, a hang of more than a minute and a file that asks for all memory are seen too.

    python -m benchmarks.fuzz [minutes of processor time in all] [reader ...]    the last line is JSON

Inputs that broke a reader are kept in fuzz/READER/.
"""

import json
import multiprocessing
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

MOST_GB, PATIENCE_S = 8, 60
KEPT = Path("fuzz")


def once(name: str, example: Path, seed: int, work: Path) -> tuple[str, str] | None:
    """Spoil a copy of the example and read it: None where all is well, else what broke where, and what it said."""
    from benchmarks.readers import READERS

    from sitscope import errors

    home = Path(errors.__file__).parent
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(example, work)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        READERS[name].change(work, random.Random(seed))
        try:
            READERS[name].read(work)
        except errors.BadInput as error:
            # said in full sentences, not too long for a terminal
            return None if error.message and len(str(error)) < 4000 else ("a refusal of thousands of characters", "")
        except Exception as error:  # noqa: BLE001 - that is what is looked for
            ours = [f for f in traceback.extract_tb(error.__traceback__) if home in Path(f.filename).parents]
            where = f"{Path(ours[-1].filename).name}:{ours[-1].name}" if ours else "outside"
            return f"{type(error).__name__} in {where}", str(error)[:150]
    return None


def child(name: str, seconds: float, first: int, folder: str, queue: Any) -> None:
    """Work until the time is up; what is worked on is known to the parent by its seed."""
    import benchmarks.readers  # noqa: F401 - what is imported is not counted

    resource.setrlimit(resource.RLIMIT_AS, (MOST_GB << 30, MOST_GB << 30))
    with open(os.devnull, "w") as nowhere:  # GDAL writes to the descriptor itself
        os.dup2(nowhere.fileno(), 2)
    signal.signal(signal.SIGALRM, _too_long)
    example, work = Path(folder) / "example", Path(folder) / "work"
    start, seed = time.process_time(), first
    while time.process_time() - start < seconds:
        queue.put(("begin", seed, time.process_time() - start))
        signal.alarm(PATIENCE_S)
        what = once(name, example, seed, work)
        signal.alarm(0)
        if what:
            queue.put(("crash", seed, what))
        seed += 1
    queue.put(("end", seed, time.process_time() - start))


def _too_long(*_: object) -> None:
    raise TimeoutError(f"more than {PATIENCE_S} s")


def fuzz(name: str, seconds: float, first: int = 0) -> dict[str, Any]:
    """One reader for so many seconds of processor time."""
    from benchmarks.readers import READERS

    crashes: Counter[str] = Counter()
    first_of: dict[str, dict[str, Any]] = {}
    used, seed, begun = 0.0, first, first
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:
        (Path(folder) / "example").mkdir()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            READERS[name].make(Path(folder) / "example")
        while used < seconds:
            queue = multiprocessing.get_context("spawn").SimpleQueue()
            worker = multiprocessing.get_context("spawn").Process(
                target=child, args=(name, seconds - used, seed, folder, queue)
            )
            worker.start()
            done, last, before = False, time.time(), used
            while not done and (worker.is_alive() or not queue.empty()):
                if queue.empty():
                    time.sleep(0.02)
                    if time.time() - last > 2 * PATIENCE_S:
                        worker.kill()
                    continue
                kind, seed, fact = queue.get()
                last = time.time()
                if kind == "crash":
                    crashes[fact[0]] += 1
                    first_of.setdefault(fact[0], {"seed": seed, "said": fact[1]})
                    _keep(name, seed, Path(folder) / "example")
                else:
                    used, begun = before + fact, max(begun, seed)
                    done = kind == "end"
            worker.join()
            if not done:  # a library took the whole process with it, or it hung
                what = f"process ended with {worker.exitcode}"
                crashes[what] += 1
                first_of.setdefault(what, {"seed": seed, "said": ""})
                _keep(name, seed, Path(folder) / "example")
                seed, used = seed + 1, used + 0.1
    report = {what: {"times": n, **first_of[what]} for what, n in crashes.most_common()}
    return {"executions": begun - first, "cpu_s": round(used, 1), "crashes": report}


def _keep(name: str, seed: int, example: Path) -> None:
    """The spoiled files of the first few crashes."""
    from benchmarks.readers import READERS

    place = KEPT / name.replace(" ", "_") / str(seed)
    if place.exists() or len(list(place.parent.glob("*"))) >= 50:
        return
    shutil.copytree(example, place)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        READERS[name].change(place, random.Random(seed))


def main(minutes: float, chosen: list[str], first: int = 0) -> None:
    """Every reader for its share of the time, as JSON."""
    from benchmarks.readers import READERS

    readers = chosen or list(READERS)
    found = {}
    for name in readers:
        found[name] = fuzz(name, 60 * minutes / len(readers), first)
        print(
            f"{name:<18}{found[name]['executions']:>8} files, {len(found[name]['crashes'])} kinds of crash", flush=True
        )
        for what, each in found[name]["crashes"].items():
            print(f"    {each['times']:>5} x {what}: {each['said']!r} (seed {each['seed']})", flush=True)
    total = {
        "cpu_minutes": round(sum(each["cpu_s"] for each in found.values()) / 60, 1),
        "executions": sum(each["executions"] for each in found.values()),
        "crashes": sum(len(each["crashes"]) for each in found.values()),
    }
    print(json.dumps({**total, "readers": found}))


if __name__ == "__main__":
    words = sys.argv[1:]
    main(float(words[0]) if words else 20.0, words[1:], int(os.environ.get("SEED", "0")))

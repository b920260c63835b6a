"""`sh run.sh`: install the bundle, test the kernels, run benchmarks, and run its studies until they or the time end."""

import argparse
import shutil
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from . import facts as bundle
from .facts import BundleError
from .install import check_machine, chosen_torch, environment
from .parts import restore
from .stages import HOME, Limit, machine, measure, slots, test_kernels, train

ENDINGS = {
    0: "all studies have ended",
    1: "all studies have ended, with trials that failed: see home/",
    3: "the time has run out; the same command resumes",
}


def main(words: Sequence[str] | None = None) -> int:
    """The exit code: 0, 1 or 3 as in ENDINGS, 2 for user errors."""
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    asked = _arguments(words)
    try:
        return _run(Path(__file__).resolve().parent.parent, asked)
    except BundleError as error:
        print(f"run.sh: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"run.sh: {error.filename or 'the disk'}: {error.strerror}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("run.sh: stopped; the same command resumes", file=sys.stderr)
        return 130


def _run(folder: Path, asked: argparse.Namespace) -> int:
    limit, facts = Limit.of(asked.minutes), bundle.read(folder)
    check_machine(facts)
    restore(folder, facts.files, facts.parts)
    on = machine(folder, environment(folder, facts, chosen_torch(facts, asked.torch)), facts)
    (folder / HOME).mkdir(exist_ok=True)
    shutil.copy(folder / bundle.FILE, folder / HOME)
    if asked.tests:
        test_kernels(on, limit)
    if asked.benchmarks:
        measure(on, limit)
    ending = train(on, facts.studies, slots(on, asked.processes), limit)
    print(f"{ENDINGS[ending]}; copy {folder / HOME} to your machine and run `lrlc adopt` on it", flush=True)
    return ending


def _arguments(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="sh run.sh", description=__doc__)
    parser.add_argument("--minutes", type=_positive, help="end within this time, keeping finished trials")
    parser.add_argument(
        "--processes", type=int, help="simultaneous trials; by default chosen by cores and GPUs"
    )
    parser.add_argument(
        "--torch", choices=["system", "bundled"], help="system: the torch of the Python that runs this"
    )
    parser.add_argument("--no-tests", dest="tests", action="store_false", help="skip the test of the kernels")
    parser.add_argument("--no-benchmarks", dest="benchmarks", action="store_false", help="studies alone")
    asked = parser.parse_args(words)
    if asked.processes is not None and asked.processes < 1:
        parser.error(f"--processes {asked.processes}: expected 1 or more")
    return asked


def _positive(text: str) -> float:
    minutes = float(text)
    if not minutes > 0:
        raise argparse.ArgumentTypeError(f"{text}: expected a number of minutes over 0")
    return minutes


if __name__ == "__main__":
    sys.exit(main())

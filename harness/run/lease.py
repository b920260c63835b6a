"""One driver per study: a lease that its driver holds while it runs, and that expires when the driver dies.

A lease is a small file `lease/<name>.json` beside the tables. A driver that wants the study writes one and then looks
again: if another is alive, it removes its own and gives up, so at most one of two drivers continues, on a local disk as
on S3, whose listings are consistent. The time of the file's last writing, by the clock of the disk or bucket that keeps
it, is its heartbeat. A lease is dead when its process has ended, which only the machine that it names can see, or when
its heartbeat is EXPIRES_SECONDS old. Without /proc only the heartbeat counts.

One gap remains: a driver that is suspended while it writes a part, for longer than EXPIRES_SECONDS, completes that
write when it wakes. A trial may then have two rows, of which readers keep one.
"""

import getpass
import json
import os
import random
import socket
import threading
import time
import uuid
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Self

from pydantic import TypeAdapter

from lrlc.results import damage
from lrlc.results.errors import StoreError
from lrlc.results.files import Location

if TYPE_CHECKING:
    from lrlc.harness.trial import Trial
    from lrlc.results.schema import EpochRecord, TrialResult

HEARTBEAT_SECONDS = 10.0
EXPIRES_SECONDS = 60.0
SURE_SECONDS = EXPIRES_SECONDS / 2
"""Within this time of its last heartbeat, a driver need not recheck its lease."""

_FOLDER, _SUFFIX = "lease", ".json"
_TRIES = 5


@dataclass(frozen=True)
class Holder:
    """The holder of a lease: a process, identified by its number and the moment it started."""

    host: str
    machine: str
    pid: int
    process_started: str
    user: str
    since: str

    @classmethod
    def this_process(cls) -> Self:
        since = datetime.now(UTC).isoformat(timespec="seconds")
        pid = os.getpid()
        return cls(socket.gethostname(), _machine(), pid, _process_started(pid) or "", _user(), since)

    def is_gone(self) -> bool:
        """Whether its process has ended, as far as this machine can tell."""
        return self.machine == _machine() and _process_started(self.pid) != self.process_started


_HOLDER = TypeAdapter(Holder)


@dataclass(frozen=True)
class Held:
    """A lease as another process sees it."""

    file: Location
    holder: Holder
    heartbeat_age_seconds: float

    def is_alive(self) -> bool:
        return self.heartbeat_age_seconds < EXPIRES_SECONDS and not self.holder.is_gone()

    def __str__(self) -> str:
        who, age = self.holder, max(0.0, self.heartbeat_age_seconds)
        since = who.since.replace("T", " ").replace("+00:00", " UTC")
        return (
            f"process {who.pid} on {who.host}, user {who.user}, since {since}, last heartbeat {age:.0f} s ago"
        )

    def as_dict(self) -> dict[str, object]:
        return {**asdict(self.holder), "heartbeat_age_seconds": self.heartbeat_age_seconds}


def running_driver(root: Location) -> Held | None:
    """The live driver of the study at `root`, if there is one."""
    return next((held for held in _leases(root) if held.is_alive()), None)


def refuse_if_taken(root: Location) -> None:
    """Raise StoreError while a driver of the study lives, naming it."""
    if (held := running_driver(root)) is not None:
        raise _taken(root, held)


def _taken(root: Location, held: Held) -> StoreError:
    return StoreError(f"{root}: another driver runs this study: {held}; wait for it or stop it")


class Lease:
    """Held within `with`; raises StoreError, and writes nothing, while another driver is alive.

    A thread keeps the heartbeat going even during an epoch. `check` raises StoreError once the lease is lost; between
    heartbeats it only asks a local disk whether the lease is still there, and a bucket nothing.
    """

    def __init__(self, root: Location) -> None:
        self._root = root
        self._file = root / _FOLDER / f"{time.time_ns():020d}-{uuid.uuid4().hex[:12]}{_SUFFIX}"
        self._text = json.dumps(asdict(Holder.this_process()), indent=2)
        self._beating = threading.Lock()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="lease", daemon=True)
        self._sure_since = _Moment.now()
        self._lost: str | None = None

    def __enter__(self) -> Self:
        for _ in range(_TRIES):
            refuse_if_taken(self._root)
            self._sure_since = _Moment.now()
            self._write()
            others = self._others()
            alive = [other for other in others if other.is_alive()]
            if not alive:
                for dead in others:
                    dead.file.remove()
                now = self._file.modified_at() or time.time()
                (self._root / _FOLDER).remove_abandoned(EXPIRES_SECONDS, now)
                self._thread.start()
                return self
            self._file.remove()  # two drivers tried at once: both give up
            time.sleep(random.uniform(0.1, 1.0))
        raise _taken(self._root, alive[0])

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        self._file.remove()

    def check(self) -> None:
        """Raise StoreError if the lease is lost or cannot be renewed, which eventually loses it."""
        path = self._file.local
        is_gone = path is not None and not path.exists()
        if self._lost is None and (is_gone or self._sure_since.seconds_ago() > SURE_SECONDS):
            self._renew()
        if self._lost is not None:
            raise StoreError(self._lost)

    def _renew(self) -> None:
        with self._beating:
            now = _Moment.now()
            overslept = self._sure_since.seconds_ago() > SURE_SECONDS
            if self._file.name not in (self._root / _FOLDER).names(""):
                return self._lose(running_driver(self._root))
            self._write()
            if overslept:  # a lease that looked dead may have been taken while this one was being rewritten
                taker = next((other for other in self._others() if other.is_alive()), None)
                if taker is not None:
                    return self._lose(taker)
            self._sure_since = now
            return None

    def _lose(self, taker: Held | None) -> None:
        if taker is None and not self._root.is_folder():
            self._lost = f"{self._root}: the folder was removed or moved meanwhile; nothing more is written"
            return
        why = (
            f"this driver was stopped for long and lost its lease to {taker}"
            if taker
            else "its lease was deleted"
        )
        self._lost = f"{self._root}: {why}; it ends without writing more, committed rows are kept"

    def _beat(self) -> None:
        while not self._ended.wait(HEARTBEAT_SECONDS) and self._lost is None:
            try:
                self._renew()
            except (StoreError, OSError):
                continue  # if the disk or bucket stays unreachable, `check` fails

    def _write(self) -> None:
        self._file.replace(lambda file: file.write(self._text.encode()))

    def _others(self) -> list[Held]:
        """The other live leases, with ages by the storage's clock, read from the file just written."""
        return [held for held in _leases(self._root, self._file.modified_at()) if held.file != self._file]


class LeaseWatch:
    """A source without trials, first in the driver's list, so that no search goes on once the lease is lost."""

    def __init__(self, lease: Lease) -> None:
        self._lease = lease

    def next_trial(self) -> "Trial | None":
        self._lease.check()
        return None

    def report(self, trial: "Trial", record: "EpochRecord") -> "Sequence[Trial]":
        self._lease.check()
        return ()

    def tell(self, result: "TrialResult") -> "Sequence[Trial]":
        self._lease.check()
        return ()


@dataclass(frozen=True)
class _Moment:
    """The current time by two clocks: one stops while a laptop sleeps, the other may be changed."""

    monotonic: float
    wall: float

    @classmethod
    def now(cls) -> Self:
        return cls(time.monotonic(), time.time())

    def seconds_ago(self) -> float:
        return max(time.monotonic() - self.monotonic, time.time() - self.wall)


def _leases(root: Location, now: float | None = None) -> list[Held]:
    """Every lease, dead or alive, with its age by the storage's clock, which is read if `now` is None.

    Leases that disappear meanwhile are skipped; damaged ones are skipped and named.
    """
    found = []
    for name in (root / _FOLDER).names(_SUFFIX):
        file = root / _FOLDER / f"{name}{_SUFFIX}"
        holder, modified = damage.kept(damage.judge(file, _HOLDER.validate_json)), file.modified_at()
        if holder is None or modified is None:
            continue
        if now is None and not holder.is_gone():
            now = _clock(root / _FOLDER)
        found.append(Held(file, holder, (time.time() if now is None else now) - modified))
    return found


def _clock(folder: Location) -> float:
    """The time by the storage's clock, or by this machine's if nothing can be written."""
    try:
        return folder.clock()
    except StoreError:
        return time.time()


def _machine() -> str:
    """Identifies this boot and container, outside which a process number means nothing."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("utf-8").strip()
        return f"{boot}:{os.stat('/proc/self/ns/pid').st_ino}"
    except OSError:
        return socket.gethostname()


def _process_started(pid: int) -> str | None:
    """When a process started, in ticks since the boot; None if it has ended, '' without /proc."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
    except OSError:
        return None if Path("/proc/self/stat").exists() else ""
    return None if fields[0] in "ZX" else fields[19]


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # a container's user without a name
        return "unknown"

"""The memory of this process. Imports nothing, so as not to add to it."""

from pathlib import Path

STATUS = Path("/proc/self/status")


def resident_bytes() -> int | None:
    """The current memory of this process; None if the system does not report it."""
    return status_bytes("VmRSS") if STATUS.exists() else None


def peak_resident_bytes() -> int | None:
    """The peak memory of this process; None if the system does not report it."""
    return status_bytes("VmHWM") if STATUS.exists() else None


def status_bytes(field: str) -> int:
    """A field of Linux's status file of this process, such as VmRSS; raises OSError if there is none."""
    for line in STATUS.read_text("utf-8").splitlines():
        if line.startswith(f"{field}:"):
            return 1024 * int(line.split()[1])
    raise OSError(f"{STATUS} has no {field}")

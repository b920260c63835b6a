"""What this process holds in memory. Imports nothing, so that it adds nothing."""

from pathlib import Path

STATUS = Path("/proc/self/status")


def resident_bytes() -> int | None:
    """What this process holds in memory now; None where the system does not say."""
    return status_bytes("VmRSS") if STATUS.exists() else None


def peak_resident_bytes() -> int | None:
    """The most that this process ever held; None where the system does not say."""
    return status_bytes("VmHWM") if STATUS.exists() else None


def status_bytes(field: str) -> int:
    """A field of Linux's account of this process, such as VmRSS; raises OSError where there is none."""
    for line in STATUS.read_text("utf-8").splitlines():
        if line.startswith(f"{field}:"):
            return 1024 * int(line.split()[1])
    raise OSError(f"{STATUS} has no {field}")

"""Keep the C library's memory between training steps instead of returning and requesting it again."""

import ctypes
import logging

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4
"""glibc's malloc.h."""

_log = logging.getLogger(__name__)


def keep_freed_memory() -> None:
    """Let this process reuse the memory of freed tensors. Only glibc has such a setting; elsewhere nothing changes.

    By default, glibc maps every block above 32 MB and unmaps it when it is freed, so each activation of a large batch
    costs a page fault per 4 KB: a third of a step of the three-layer network at batch 512. The price of this setting is
    that the process keeps its peak memory.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # another C library; Windows
        return
    if not (mallopt(_M_MMAP_MAX, 0) and mallopt(_M_TRIM_THRESHOLD, -1)):
        _log.info("malloc refused to keep freed memory; training continues without it")

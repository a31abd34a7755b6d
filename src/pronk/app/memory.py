"""How allocator and garbage collector are set for a process that moves many large bodies and makes few cycles."""

from __future__ import annotations

import ctypes
import gc

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""Names of glibc's mallopt(3)."""

_KEPT_BYTES = 64 * 1024 * 1024
_FROM_HEAP_BYTES = 4 * 1024 * 1024
_COLLECT_AFTER = 20_000


def settle() -> None:
    """Make the settings; to be called once, when everything is imported.

    Bodies of some hundred kilobytes come from the heap and go back to it: as mappings of their own each of them costs dozens of
    page faults, which is more than to encode and to send it. What imports have left lives for ever and is not looked at again.
    """
    _keep_heap()
    gc.collect()
    gc.freeze()
    gc.set_threshold(_COLLECT_AFTER, 20, 50)


def _keep_heap() -> None:
    """Do nothing where the C library has no such call."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, _FROM_HEAP_BYTES)
        mallopt(_TRIM_THRESHOLD, _KEPT_BYTES)

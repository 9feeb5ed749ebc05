"""Memory that stays: what one training step frees, the next one takes, without asking the system for it.

An allocator that gives freed memory back must take it again in the next step, and the system then clears it
page by page: a fifth to a third of the time of a small network's step. The C library of most Linux systems
(glibc) can be told to keep it; this is done once, when tinygrad_lite is imported. It holds for the whole
process. The environment variable TINYGRAD_LITE_KEEP_MEMORY=0 turns it off, and so does any setting of
glibc's own (MALLOC_TRIM_THRESHOLD_ and the like), which is left as it is.
"""

from __future__ import annotations

import ctypes
import os
import platform

SWITCH = "TINYGRAD_LITE_KEEP_MEMORY"
KEPT_BYTES = 256 << 20  # free memory at the end of the heap up to which none is given back

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # glibc's malloc.h: M_TRIM_THRESHOLD, M_MMAP_THRESHOLD
_SIZES_FROM_HEAP = (64 << 20, 32 << 20)  # larger arrays come straight from the system; some glibc allow less


def _keep_freed_memory() -> str:
    """Tell glibc, and say what came of it."""
    if os.environ.get(SWITCH) == "0":
        return f"as the system does by itself ({SWITCH}=0)"
    own = [n for n in os.environ if n.startswith("MALLOC_") or n == "GLIBC_TUNABLES"]
    if own:
        return f"as {', '.join(own)} says"
    if platform.libc_ver()[0] != "glibc":
        return "as the system does by itself (no glibc)"
    mallopt = ctypes.CDLL(None).mallopt
    # both, for setting either ends glibc's own adjusting of the other
    taken = any(mallopt(_MMAP_THRESHOLD, size) for size in _SIZES_FROM_HEAP)
    if not (taken and mallopt(_TRIM_THRESHOLD, KEPT_BYTES)):
        return "as the system does by itself (glibc refused)"
    return f"up to {KEPT_BYTES >> 20} MB kept ({SWITCH}=0 gives it back)"


freed_memory = _keep_freed_memory()
"""What happens to freed memory, in words."""

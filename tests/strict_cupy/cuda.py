"""cupy.cuda: one device, whose work is always done."""

from typing import Any


class CUDARuntimeError(RuntimeError):
    pass


class Device:
    """cupy.cuda.Device; unhashable, as CuPy's is. Only device 0 exists."""

    compute_capability = "80"
    __hash__ = None

    def __init__(self, device: Any = 0) -> None:
        self.id = int(device)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Device) and self.id == other.id

    def __repr__(self) -> str:
        return f"<CUDA Device {self.id}>"

    def use(self) -> None:
        if self.id != 0:
            raise CUDARuntimeError("cudaErrorInvalidDevice: invalid device ordinal")

    synchronize = use

    def __enter__(self) -> "Device":
        self.use()
        return self

    def __exit__(self, *_: object) -> None:
        pass


CUDA = {"Device": Device, "is_available": lambda: True}
RUNTIME = {
    "CUDARuntimeError": CUDARuntimeError,
    "deviceSynchronize": lambda: None,
    "getDevice": lambda: 0,
    "getDeviceCount": lambda: 1,
    "getDeviceProperties": lambda device: {"name": b"NumPy behind a stand-in for CuPy"},
}

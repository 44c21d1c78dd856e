"""What a program may ask of its host through the words `tohost` and `fromhost`: to end, and to write to the console.

An odd value ends the run. An even one is the address of a system call, as the vendor's own test programs make them: its number, its
arguments, and later its result. Only writing to the console and exiting are served; nothing reaches files.
"""

from __future__ import annotations

from baco.sim.errors import HostFault, LimitReached
from baco.sim.loader import Image

SYS_WRITE, SYS_EXIT = 64, 93
CONSOLE_PUT = 0x0101
"""Device 1, command 1, in the upper 16 bits: write one character."""
NO_SUCH_FILE, NO_SUCH_CALL = -9, -38
OUTPUT_LIMIT = 16 << 20


class Host:
    """Serves one run. `output` is what its program has written so far."""

    def __init__(self, image: Image) -> None:
        self.image = image
        self.output = bytearray()
        self.exit_code: int | None = None

    def request(self) -> int:
        """What the program has written to `tohost`; 0 if nothing."""
        return self._read(self.image.tohost)

    def serve(self, pc: int) -> int | None:
        """Answer the request. The exit code if the program wants to end.

        Raises:
            HostFault: if it is no request that there is.
            LimitReached: if the program writes without end.
        """
        value, fromhost = self.request(), self.image.fromhost
        if value & 1 and value >> 48 != CONSOLE_PUT:
            return (value >> 1) & 0xFFFF_FFFF
        if fromhost is None or not self._serve_call(value, fromhost, pc):
            raise HostFault(f"the program wrote {value:#x} to tohost, which is no exit code (those are odd) nor a system call.", pc=pc)
        if len(self.output) > OUTPUT_LIMIT:
            raise LimitReached(f"the program was stopped after {len(self.output)} bytes of output; {OUTPUT_LIMIT} are allowed.", pc=pc)
        if self.exit_code is not None:
            return self.exit_code
        self._write(self.image.tohost, 0)
        return None

    def _serve_call(self, value: int, fromhost: int, pc: int) -> bool:
        """Serve a console character or the system call at address `value`. False: there is no such thing."""
        if value >> 48 == CONSOLE_PUT:
            self.output.append(value & 0xFF)
            self._write(fromhost, CONSOLE_PUT << 48)
            return True
        if value >> 48 or value % 8 or not self._inside(value, 64):
            return False
        number, first, address, size = (self._read(value + 8 * i) for i in range(4))
        result = NO_SUCH_CALL
        if number == SYS_EXIT:
            self.exit_code = first & 0xFFFF_FFFF
        elif number == SYS_WRITE and first not in (1, 2):
            result = NO_SUCH_FILE
        elif number == SYS_WRITE:
            if not self._inside(address, size):
                raise HostFault(f"the program prints {size} bytes at {address:#x}, which are not in its memory.", pc=pc)
            start = address - self.image.base
            self.output += self.image.memory[start : start + size].tobytes()
            result = size
        self._write(value, result)
        self._write(fromhost, 1)
        return True

    def _inside(self, address: int, size: int) -> bool:
        return self.image.base <= address and address + size <= self.image.base + self.image.memory.size

    def _read(self, address: int) -> int:
        start = address - self.image.base
        return int.from_bytes(self.image.memory[start : start + 8].tobytes(), "little")

    def _write(self, address: int, value: int) -> None:
        start = address - self.image.base
        self.image.memory[start : start + 8] = list((value % (1 << 64)).to_bytes(8, "little"))

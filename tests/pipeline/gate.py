"""A way to a server that breaks when it is told to, in a process of its own: drivers may wait with all threads.

Run as ``python -m tests.pipeline.gate HOST PORT``: says its own port, then takes a line for each order: after how many
bytes of answers to break from now on (empty: never).
"""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass


@dataclass
class Gate:
    """How many bytes of answers may still pass; None: any number."""

    left: int | None = None

    async def serve(self, near: asyncio.StreamReader, near_writer: asyncio.StreamWriter) -> None:
        far, far_writer = await asyncio.open_connection(sys.argv[1], int(sys.argv[2]))
        both = (self.carry(near, far_writer, answers=False), self.carry(far, near_writer, answers=True))
        await asyncio.wait([asyncio.create_task(one) for one in both], return_when=asyncio.FIRST_COMPLETED)
        for writer in (near_writer, far_writer):
            writer.transport.abort()

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, answers: bool) -> None:
        try:
            while data := await reader.read(65_536):
                if answers and self.left is not None:
                    self.left -= len(data)
                    if self.left < 0:
                        return
                writer.write(data)
                await writer.drain()
        except ConnectionError:
            return

    async def obey(self) -> None:
        server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
        say(server.sockets[0].getsockname()[1])
        while order := await asyncio.to_thread(sys.stdin.readline):
            self.left = int(order) if order.strip() else None
            say("done")
        server.close()


def say(what: object) -> None:
    """A line of output."""
    sys.stdout.write(f"{what}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(Gate().obey())

"""A TCP proxy that can refuse connections, fall silent, or answer slowly, while both ends live."""

import asyncio
import contextlib
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from typing import Any, Final

CHUNK: Final = 65_536


class Proxy:
    """Forwards a port of the loopback address to another. Its methods may be called from any thread."""

    def __init__(self, target_port: int) -> None:
        self.target_port = target_port
        self.port = 0
        self.delay_s = 0.0
        self._silent = False
        self._writers: set[asyncio.StreamWriter] = set()
        self._upstream: set[asyncio.StreamWriter] = set()
        # connections that were open while the proxy was silent: no byte passes them ever again
        self._muted: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)

    def start(self) -> None:
        """Listen on a free port, or again on the port of before."""
        if not self._thread.is_alive():
            self._thread.start()
        self._call(self._listen()).result(10)

    def stop(self) -> None:
        """Close everything."""
        self._call(self._close()).result(10)
        self._call(self._cancel()).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def refuse(self) -> None:
        """Break all connections and accept none."""
        self._call(self._close()).result(10)

    def silence(self) -> None:
        """Let no byte pass any more. Connections are accepted, and stay open without an answer."""
        self._call(self._mute()).result(10)

    def speak(self) -> None:
        """Serve new connections again. Those of the silence stay silent, as behind a router that forgot them.

        Their other ends are closed, as a server's keepalive probes would do.
        """
        self._call(self._unmute()).result(10)

    def _call(self, work: Coroutine[Any, Any, None]) -> "Future[None]":
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        if self._server is not None:
            self._server.close()
        for writer in self._writers | self._upstream:
            writer.transport.abort()
        self._writers.clear()
        self._upstream.clear()
        self._muted.clear()
        await asyncio.sleep(0)

    async def _cancel(self) -> None:
        waiting = asyncio.all_tasks() - {asyncio.current_task()}
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)

    async def _mute(self) -> None:
        self._silent = True
        self._muted |= self._writers

    async def _unmute(self) -> None:
        self._silent = False
        for writer in list(self._upstream):
            if writer in self._muted:
                writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        if self._silent:
            self._muted.add(writer)
        try:
            upstream_reader, upstream_writer = await asyncio.open_connection("127.0.0.1", self.target_port)
        except OSError:
            if writer not in self._muted:
                writer.transport.abort()
            self._writers.discard(writer)
            return
        self._upstream.add(upstream_writer)
        if writer in self._muted:
            self._muted.add(upstream_writer)
        # cancelled when the proxy stops
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(
                self._pump(reader, upstream_writer, writer), self._pump(upstream_reader, writer, upstream_writer)
            )
        for end in (writer, upstream_writer):
            self._writers.discard(end)
            self._upstream.discard(end)
            self._muted.discard(end)

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, own: asyncio.StreamWriter
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(CHUNK):
                if own in self._muted or writer in self._muted:
                    # both ends of a muted connection are in the set, or will be with the next silence
                    self._muted |= {own, writer}
                    continue
                if self.delay_s:
                    await asyncio.sleep(self.delay_s)
                writer.write(data)
                await writer.drain()
        if own in self._muted and writer in self._writers:
            # the server has gone, but its farewell does not pass either: the client's end stays open
            while not writer.is_closing():
                await asyncio.sleep(0.5)
        with contextlib.suppress(OSError):
            writer.close()

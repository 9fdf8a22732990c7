"""A TCP proxy in front of a node that swallows answers and cuts connections.

The request has been carried out by then, only its answer is lost: what a producer must survive
without a gap, a duplicate or a disorder. Faults are drawn from a seed; the seed is in the failure
message of whoever uses this."""

import asyncio
import random
import struct
import threading

FRAME_BYTES_MAX = 64 << 20
PRODUCE = 0


class LossyProxy:
    """Listens on `port` and forwards to `server_port`. Every Produce answer is lost with the
    probability `loss`, along with all later ones on that connection, which is cut at once or,
    half of the time, after a short silence."""

    def __init__(self, port, server_port, seed, loss):
        self.port, self.server_port, self.loss = port, server_port, loss
        self.random = random.Random(seed)
        self.requests = 0  # Produce requests that reached the node
        self.lost_answers = 0  # and those among them whose answer was swallowed
        self.loop = asyncio.new_event_loop()
        self.listening = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)

    def start(self):
        self.thread.start()
        assert self.listening.wait(10), "the proxy does not listen"

    def stop(self):
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)

    def run(self):
        asyncio.set_event_loop(self.loop)
        self.loop.run_until_complete(asyncio.start_server(self.serve, "127.0.0.1", self.port))
        self.listening.set()
        self.loop.run_forever()
        for task in asyncio.all_tasks(self.loop):
            task.cancel()
        self.loop.run_until_complete(asyncio.sleep(0.1))

    async def serve(self, client_reader, client_writer):
        try:
            server_reader, server_writer = await asyncio.open_connection(
                "127.0.0.1", self.server_port
            )
        except OSError:
            client_writer.close()
            return
        waiting = {}  # correlation id -> API key of what the node has not answered yet
        pumps = [
            asyncio.ensure_future(self.forward_requests(client_reader, server_writer, waiting)),
            asyncio.ensure_future(self.forward_answers(server_reader, client_writer, waiting)),
        ]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            client_writer.close()
            server_writer.close()

    async def forward_requests(self, reader, writer, waiting):
        while True:
            frame = await read_frame(reader)
            key, _, correlation_id = struct.unpack_from(">hhi", frame, 4)
            waiting[correlation_id] = key
            self.requests += key == PRODUCE
            writer.write(frame)
            await writer.drain()

    async def forward_answers(self, reader, writer, waiting):
        while True:
            frame = await read_frame(reader)
            (correlation_id,) = struct.unpack_from(">i", frame, 4)
            if waiting.pop(correlation_id, None) == PRODUCE and self.random.random() < self.loss:
                self.lost_answers += 1
                if self.random.random() < 0.5:
                    await asyncio.sleep(self.random.random() * 0.3)
                return
            writer.write(frame)
            await writer.drain()


async def read_frame(reader):
    head = await reader.readexactly(4)
    (size,) = struct.unpack(">i", head)
    if not 0 <= size <= FRAME_BYTES_MAX:
        raise ConnectionError(f"a frame of {size} bytes")
    return head + await reader.readexactly(size)

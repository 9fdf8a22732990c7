"""Records what real clients and a real Kafka say to each other, as vectors for captured_frames_test.

    record_frames.py LISTEN_PORT KAFKA_PORT FILE "CLIENT AND VERSION"

Passes bytes on between LISTEN_PORT and KAFKA_PORT (the broker must advertise LISTEN_PORT) until it is interrupted, and
then writes FILE: for every API and version seen the smallest and the biggest request and response of at most FRAME_BYTES_MAX
bytes. A line: "request" or "response", API key, version, the frame without its length in hex.
"""

import asyncio
import datetime
import signal
import struct
import sys

FRAME_BYTES_MAX = 700


class Recorder:
    def __init__(self):
        self.frames = {}  # (direction, key, version) -> {frame}

    def add(self, direction, key, version, frame):
        if len(frame) > FRAME_BYTES_MAX:
            return
        seen = self.frames.setdefault((key, version, direction), set())
        seen.add(frame)
        if len(seen) > 2:
            by_size = sorted(seen, key=lambda f: (len(f), f))
            seen.clear()
            seen.update({by_size[0], by_size[-1]})

    def write(self, path, client):
        with open(path, "w") as out:
            out.write(f"# {client} and Apache Kafka 4.3.1, recorded by tests/wire/record_frames.py on {datetime.date.today()}.\n")
            for (key, version, direction), frames in sorted(self.frames.items()):
                for frame in sorted(frames, key=len):
                    out.write(f"{direction} {key} {version} {frame.hex()}\n")


async def pump(reader, writer, on_frame):
    try:
        while True:
            head = await reader.readexactly(4)
            frame = await reader.readexactly(struct.unpack(">i", head)[0])
            on_frame(frame)
            writer.write(head + frame)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass  # either side has gone
    finally:
        writer.close()


async def main(listen_port, kafka_port, path, client):
    recorder = Recorder()

    async def connection(client_reader, client_writer):
        kafka_reader, kafka_writer = await asyncio.open_connection("127.0.0.1", kafka_port)
        asked = {}  # correlation id -> (key, version)

        def on_request(frame):
            key, version, correlation_id = struct.unpack(">hhi", frame[:8])
            asked[correlation_id] = (key, version)
            recorder.add("request", key, version, frame)

        def on_response(frame):
            correlation_id = struct.unpack(">i", frame[:4])[0]
            if correlation_id in asked:
                recorder.add("response", *asked.pop(correlation_id), frame)

        try:
            await asyncio.gather(pump(client_reader, kafka_writer, on_request), pump(kafka_reader, client_writer, on_response))
        except asyncio.CancelledError:
            pass  # the recording ends

    server = await asyncio.start_server(connection, "127.0.0.1", listen_port)
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await stop.wait()
    server.close()
    recorder.write(path, client)


if __name__ == "__main__":
    if len(sys.argv) != 5:
        sys.exit(__doc__)
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]))

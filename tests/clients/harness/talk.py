"""Any API in Kafka's own JSON form, by Kafka's own codec (java/src/Talk.java): for the APIs between
brokers and controllers, which no client library speaks."""

import base64
import json
import subprocess

from cases import java


class Talk:
    def __init__(self, address):
        self.process = subprocess.Popen(
            [str(part) for part in java.command("talk", address)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.next_record = 0

    def close(self):
        self.process.stdin.close()
        self.process.wait(30)

    def command(self, **words):
        self.process.stdin.write(json.dumps(words) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, f"the program ended at {words}"
        return json.loads(line)

    def ask(self, key, version, body):
        """The answer's body, or a word for why there is none: "closed", "silent"."""
        return outcome(self.command(ask=key, version=version, body=body))

    def encode(self, key, version, body):
        return base64.b64decode(self.command(encode=key, version=version, body=body)["bytes"])

    def decode(self, key, version, data):
        text = base64.b64encode(data).decode()
        return self.command(decode=key, version=version, bytes=text)["answer"]

    def send_frame(self, data):
        return outcome(self.command(frame=base64.b64encode(data).decode()))

    def news(self):
        """The records of the metadata log since the last call."""
        found = self.command(records=self.next_record)
        self.next_record = found["next"]
        return found["records"]


def outcome(result):
    for word in ("closed", "silent"):
        if word in result:
            return word
    return result.get("answer", result.get("bytes"))

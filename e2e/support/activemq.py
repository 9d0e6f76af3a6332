"""An ActiveMQ broker of a test's own, and a client that speaks just enough of STOMP to put messages into its queues."""

import os
import pathlib
import signal
import socket
import subprocess
import tempfile

from support.rabbitmq import free_port
from support.server import wait_until

HOME = "/usr/share/activemq"
START_S = 240
USER, PASSWORD = "user", "secret:1"
CONFIG = """<beans xmlns="http://www.springframework.org/schema/beans" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"
 xsi:schemaLocation="http://www.springframework.org/schema/beans http://www.springframework.org/schema/beans/spring-beans-2.0.xsd
 http://activemq.apache.org/schema/core http://activemq.apache.org/schema/core/activemq-core.xsd">
 <broker xmlns="http://activemq.apache.org/schema/core" useJmx="false" brokerName="hearth" dataDirectory="{data}">
  <persistenceAdapter><kahaDB directory="{data}/kahadb"/></persistenceAdapter>
  <plugins><simpleAuthenticationPlugin><users><authenticationUser username="{user}" password="{password}" groups="users"/></users></simpleAuthenticationPlugin></plugins>
  <transportConnectors><transportConnector name="stomp" uri="stomp://127.0.0.1:{port}"/></transportConnectors>
 </broker>
</beans>
"""


class ActiveMq:
    """Started, until it is closed."""

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="hearth-activemq-")
        self.home, self.port = pathlib.Path(self.folder.name), free_port()
        config = CONFIG.format(data=self.home, port=self.port, user=USER, password=PASSWORD)
        (self.home / "activemq.xml").write_text(config)
        self.process = None
        self.start()

    def start(self):
        """In the foreground, so that it is this process's to end."""
        at = [f"-Dactivemq.{name}={self.home}" for name in ("base", "conf", "data")]
        command = ["java", "-Xmx128m", "-Djava.io.tmpdir=" + self.folder.name, f"-Dactivemq.home={HOME}", *at, "-jar", f"{HOME}/bin/activemq.jar"]
        with open(self.home / "out", "a") as log:
            self.process = subprocess.Popen([*command, "start", "xbean:file:" + str(self.home / "activemq.xml")], env={"PATH": os.environ["PATH"]}, cwd=self.home, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        wait_until(self.answers, START_S, self.log)

    def log(self):
        return (self.home / "out").read_text()[-3000:]

    def answers(self):
        assert self.process.poll() is None, self.log()
        try:
            Client(self.port).close()
        except OSError:
            return False
        return True

    def put(self, queue, *messages, **headers):
        """Has the broker confirm each message: a text where it is str, bytes otherwise."""
        client = Client(self.port)
        for message in messages:
            body = message.encode() if isinstance(message, str) else message
            length = {} if isinstance(message, str) else {"content-length": len(body)}
            client.ask("SEND", body, destination=f"/queue/{queue}", persistent="true", **length, **headers)
        client.close()

    def left(self, queue):
        """What nobody has acknowledged, as far as it is nobody's: all that comes before a message that was put last."""
        self.put(queue, "the last one")
        client, found = Client(self.port), []
        client.send("SUBSCRIBE", id="0", destination=f"/queue/{queue}", ack="auto")
        while not found or found[-1] != b"the last one":
            command, _, body = client.receive()
            assert command == "MESSAGE", body
            found.append(body)
        client.close()
        return found[:-1]

    def stop(self):
        """At once, as a machine that fails."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def close(self):
        self.stop()
        self.folder.cleanup()


class Client:
    """A connection, until it is closed."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=START_S)
        self.rest = b""
        self.send("CONNECT", login=USER, passcode=PASSWORD, host="localhost", **{"accept-version": "1.2", "heart-beat": "0,0"})
        command, _, body = self.receive()
        assert command == "CONNECTED", body

    def send(self, command, body=b"", **headers):
        plain = (lambda value: value) if command == "CONNECT" else lambda value: value.replace("\\", "\\\\").replace(":", "\\c").replace("\n", "\\n")
        head = [command, *(f"{name}:{plain(str(value))}" for name, value in headers.items())]
        self.socket.sendall("\n".join(head).encode() + b"\n\n" + body + b"\0\n")

    def ask(self, command, body=b"", **headers):
        """With a receipt."""
        self.send(command, body, receipt="r", **headers)
        command, _, body = self.receive()
        assert command == "RECEIPT", body

    def receive(self):
        """The next frame. Its body has no zeros in it."""
        while b"\0" not in self.rest:
            came = self.socket.recv(65536)
            if not came:
                raise ConnectionError("the broker has gone")
            self.rest += came
        frame, self.rest = self.rest.split(b"\0", 1)
        head, body = frame.lstrip(b"\r\n").split(b"\n\n", 1)
        command, *lines = head.decode().split("\n")
        return command, dict(line.split(":", 1) for line in lines), body

    def close(self):
        self.socket.close()

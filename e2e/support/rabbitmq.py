"""A RabbitMQ broker of a test's own: its node, its ports and its folder are nobody else's."""

import os
import pathlib
import signal
import socket
import subprocess
import tempfile

import pika

from support.server import wait_until

SERVER = "/usr/lib/rabbitmq/bin/rabbitmq-server"
START_S = 240


def free_port():
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        return door.getsockname()[1]


class RabbitMq:
    """Started, until it is closed."""

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="hearth-rabbitmq-")
        home = pathlib.Path(self.folder.name)
        (home / "plugins").write_text("[].\n")
        (home / "conf").write_text("listeners.tcp.1 = 127.0.0.1:%d\n" % (port := free_port()))
        self.port, self.epmd = port, str(free_port())
        # The node's names are found by a daemon of its own, which would stay.
        self.environment = {
            "PATH": os.environ["PATH"], "HOME": str(home), "ERL_EPMD_PORT": self.epmd, "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": f"hearth-{port}@localhost", "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_MNESIA_BASE": str(home / "mnesia"), "RABBITMQ_LOG_BASE": str(home / "log"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(home / "plugins"), "RABBITMQ_CONFIG_FILE": str(home / "conf"),
            "RABBITMQ_CONF_ENV_FILE": "/dev/null", "RABBITMQ_PID_FILE": str(home / "pid"),
        }
        self.process = None
        self.start()

    def start(self):
        log = open(pathlib.Path(self.folder.name) / "out", "a")
        self.process = subprocess.Popen([SERVER], env=self.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        log.close()
        wait_until(self.answers, START_S, self.log)

    def log(self):
        return (pathlib.Path(self.folder.name) / "out").read_text()[-3000:]

    def answers(self):
        assert self.process.poll() is None, self.log()
        try:
            self.connection().close()
        except (pika.exceptions.AMQPError, OSError):
            return False
        return True

    def connection(self, virtual_host="/"):
        return pika.BlockingConnection(pika.ConnectionParameters("127.0.0.1", self.port, virtual_host))

    def put(self, queue, *bodies, **properties):
        """Makes a durable queue where there is none, and has the broker confirm each message."""
        connection = self.connection()
        channel = connection.channel()
        channel.queue_declare(queue, durable=True)
        channel.confirm_delivery()
        for body in bodies:
            channel.basic_publish("", queue, body, pika.BasicProperties(delivery_mode=2, **properties))
        connection.close()

    def left(self, queue):
        """Messages that wait. What was delivered and is not acknowledged is not among them."""
        connection = self.connection()
        count = connection.channel().queue_declare(queue, passive=True).method.message_count
        connection.close()
        return count

    def stop(self):
        """At once, as a machine that fails."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def close(self):
        self.stop()
        # It goes once it has noticed that the node has.
        kill = ["epmd", "-port", self.epmd, "-kill"]
        wait_until(lambda: subprocess.run(kill, env=self.environment, capture_output=True).returncode == 0, START_S, "its daemon stays")
        self.folder.cleanup()

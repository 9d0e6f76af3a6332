"""A machine that cannot keep all that is promised: what the server says, and what it still does."""

import json
import subprocess

from conftest import PYTHON, Function, ROLE, client_of
from support.packages import zip_of
from support.server import HEARTH, Server

# The same machine without mkfs.ext4, as this process alone sees it.
POOR = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs none /usr/sbin && exec "$@"', "sh"]
CODE = """
import os
def handler(event, context):
    with open("/tmp/file", "wb") as file:
        file.write(bytes(1 << 20))
    return {"type": [line.split()[2] for line in open("/proc/mounts") if " /tmp " in line], "size": os.path.getsize("/tmp/file")}
"""


def doctor(*before):
    report = json.loads(subprocess.run([*before, HEARTH, "doctor", "--json"], check=True, capture_output=True).stdout)
    return report["isolation"], {line["what"]: line for line in report["promises"]}


def test_the_doctor_says_what_is_kept_and_how_to_get_the_rest():
    level, promises = doctor()
    assert level == "full" and all(line["there"] for line in promises.values()), promises
    level, promises = doctor(*POOR)
    assert level == "limits"
    missing = {what: line["how"] for what, line in promises.items() if not line["there"]}
    assert len(missing) == 2 and all(line["level"] == "disk" for what, line in promises.items() if what in missing)
    assert "e2fsprogs" in missing["/tmp is a disk of its size and counts as no memory"]


def test_less_than_everything_is_refused_unless_it_is_accepted(tmp_path):
    command = [*POOR, HEARTH, "serve", "--listen", "127.0.0.1:0", "--data-dir", str(tmp_path / "data")]
    refused = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert refused.returncode == 2 and refused.stdout == ""
    assert "install the package e2fsprogs" in refused.stderr and "--isolation-at-least limits" in refused.stderr


def test_what_is_accepted_is_served_and_said():
    server = Server("--isolation-at-least", "limits", before=POOR)
    try:
        server.start()
        client = client_of(server)
        client.create_function(
            FunctionName="poor", Runtime=PYTHON, Role=ROLE, Handler="app.handler", Code={"ZipFile": zip_of({"app.py": CODE})}
        )
        assert Function(client, "poor").ready().call() == {"type": ["tmpfs"], "size": 1 << 20}
        assert "not kept here: /tmp is a disk of its size" in server.log_text()
        server.stop()
    finally:
        server.close()

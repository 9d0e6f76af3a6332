"""Layers as teams use them: packages that several functions share, programs, libraries."""

import importlib.metadata
import os
import subprocess

import pytest

from conftest import Function, client_of, deployer, unique
from support.packages import zip_of
from test_node import node_runtime

HELLO = "int hello(void) { return 42; }\n"


@pytest.fixture
def publish(client):
    """publish({path: content}) -> the ARN of a layer's version."""
    made = []

    def publish(files, name=None):
        layer = client.publish_layer_version(LayerName=name or unique("l"), Content={"ZipFile": zip_of(files)})
        made.append((layer["LayerArn"], layer["Version"]))
        return layer["LayerVersionArn"]

    yield publish
    for name, version in made:
        client.delete_layer_version(LayerName=name, VersionNumber=version)


def installed(*distributions):
    """The files of installed Python packages, as a layer has them."""
    files = {}
    for distribution in distributions:
        for path in importlib.metadata.files(distribution):
            if path.suffix in (".py", ".pem", ".so", ".typed") or path.name in ("METADATA", "RECORD"):
                files[f"python/{path}"] = path.locate().read_bytes()
    return files


def test_two_functions_share_packages_that_neither_has(client, deploy, publish):
    layer = publish(installed("requests", "urllib3", "idna", "certifi", "charset-normalizer", "beautifulsoup4", "soupsieve", "typing-extensions"))
    fetch = deploy(
        "import os, requests\n"
        "def handler(event, context):\n"
        "    prepared = requests.Request('GET', 'http://example.com/a b', params={'q': 'ä'}).prepare()\n"
        "    try: requests.get('http://127.0.0.1:9', timeout=5)\n"
        "    except requests.ConnectionError as error: seen = type(error).__name__\n"
        "    return [prepared.url, seen, requests.__file__, os.stat(requests.__file__).st_ino]\n",
        Layers=[layer],
    )
    parse = deploy(
        "import os, bs4, requests\n"
        "def handler(event, context):\n"
        "    page = bs4.BeautifulSoup('<p>one<p class=x>two &amp; three', 'html.parser')\n"
        "    return [page.find('p', class_='x').text, os.stat(requests.__file__).st_ino]\n",
        Layers=[layer],
    )
    url, error, place, inode = fetch.call()
    assert (url, error) == ("http://example.com/a%20b?q=%C3%A4", "ConnectionError")
    assert place == "/opt/python/requests/__init__.py"
    assert parse.call() == ["two & three", inode], "one unpacked copy serves both"


def test_a_version_that_is_deleted_serves_who_has_it(alone):
    server = alone()
    client = client_of(server)
    deploy, _ = deployer(client)
    name = unique("l")
    layer = client.publish_layer_version(LayerName=name, Content={"ZipFile": zip_of({"python/shared.py": "WORD = 'still here'\n"})})
    function = deploy("import shared\ndef handler(event, context):\n    return shared.WORD\n", Layers=[layer["LayerVersionArn"]])
    client.delete_layer_version(LayerName=name, VersionNumber=layer["Version"])
    assert function.call() == "still here"
    function.update(code={"app.py": "import shared\ndef handler(event, context):\n    return shared.WORD.upper()\n"})
    assert function.call() == "STILL HERE"
    server.kill()
    server.start()
    restarted = Function(client_of(server), function.name).ready()
    assert restarted.call() == "STILL HERE"
    restarted.update(MemorySize=256)
    assert restarted.call() == "STILL HERE"


def test_a_later_layer_covers_an_earlier_one(deploy, publish):
    first = publish({"python/both.py": "WORD = 'first'\n", "python/one.py": "WORD = 1\n", "data/first": "1"})
    second = publish({"python/both.py": "WORD = 'second'\n", "python/two.py": "WORD = 2\n", "data/second": "2"})
    code = "import os, both, one, two\ndef handler(event, context):\n    return [both.WORD, one.WORD, two.WORD, sorted(os.listdir('/opt/data'))]\n"
    function = deploy(code, Layers=[first, second])
    assert function.call() == ["second", 1, 2, ["first", "second"]]
    function.update(Layers=[second, first])
    assert function.call() == ["first", 1, 2, ["first", "second"]]


def test_programs_and_libraries_are_found(deploy, publish, tmp_path):
    source = tmp_path / "hello.c"
    source.write_text(HELLO)
    library = tmp_path / "libhello.so"
    subprocess.run([os.environ.get("CC", "cc"), "-shared", "-fPIC", "-o", library, source], check=True)
    layer = publish({"bin/greet": ("#!/bin/sh\necho hello $1\n", 0o755), "lib/libhello.so": library.read_bytes()})
    function = deploy(
        "import ctypes, subprocess\n"
        "def handler(event, context):\n"
        "    said = subprocess.run(['greet', 'you'], capture_output=True, text=True).stdout\n"
        "    return [said, ctypes.CDLL('libhello.so').hello()]\n",
        Layers=[layer],
    )
    assert function.call() == ["hello you\n", 42]


def test_nothing_in_a_layer_can_be_changed(deploy, publish):
    layer = publish({"data/file": "as published"})
    other = publish({"data/other": "too"})
    code = (
        "import os\n"
        "def handler(event, context):\n"
        "    seen = []\n"
        "    for change in (lambda: open('/opt/data/file', 'w'), lambda: os.remove('/opt/data/file'), lambda: os.mkdir('/opt/new')):\n"
        "        try: change(); seen.append('changed')\n"
        "        except OSError as error: seen.append(error.strerror)\n"
        "    return seen\n"
    )
    for layers in ([layer], [layer, other]):
        assert set(deploy(code, Layers=layers).call()) <= {"Read-only file system", "Permission denied"}


@pytest.mark.parametrize("place", ["nodejs/node_modules", "nodejs/node{major}/node_modules"])
def test_node_finds_modules(deploy, publish, place):
    runtime = node_runtime()
    place = place.format(major=runtime.removeprefix("nodejs").removesuffix(".x"))
    module = {"package.json": '{"name": "greeter", "main": "lib/main.js"}', "lib/main.js": "exports.greet = (who) => `hello ${who}`;\n"}
    layer = publish({f"{place}/greeter/{path}": content for path, content in module.items()})
    code = "const { greet } = require('greeter');\nexports.handler = async (event) => greet(event.who);\n"
    function = deploy({"index.js": code}, Runtime=runtime, Handler="index.handler", Layers=[layer])
    assert function.call({"who": "you"}) == "hello you"

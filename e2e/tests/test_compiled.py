"""Functions of compiled languages: the examples in Go, C, Nim and Crystal, built here, and what else starts as a `bootstrap`."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parent.parent.parent / "examples"


def built(command, environment=None):
    if shutil.which(command[0]) is None:
        pytest.skip(f"no {command[0]}")
    subprocess.run(command, check=True, capture_output=True, env={**os.environ, **(environment or {})})


@pytest.fixture(scope="module")
def go(tmp_path_factory):
    folder = tmp_path_factory.mktemp("go")
    variables = {"CGO_ENABLED": "0", "GO111MODULE": "off", "GOCACHE": str(folder / "cache"), "GOFLAGS": ""}
    built(["go", "build", "-o", folder / "bootstrap", EXAMPLES / "go-hello/main.go"], variables)
    return (folder / "bootstrap").read_bytes()


@pytest.fixture(scope="module", params=["static", "dynamic"])
def c(request, tmp_path_factory):
    out = tmp_path_factory.mktemp("c") / "bootstrap"
    words = ["-static"] if request.param == "static" else []
    built(["gcc", "-D_GNU_SOURCE", "-O2", "-Wall", "-Werror", *words, "-o", out, EXAMPLES / "c-hello/bootstrap.c"])
    return out.read_bytes()


@pytest.fixture(scope="module")
def nim(tmp_path_factory):
    folder = tmp_path_factory.mktemp("nim")
    built(["nim", "c", "--hints:off", "-d:release", f"--nimcache:{folder}/cache", f"-o:{folder}/bootstrap", EXAMPLES / "nim-hello/bootstrap.nim"])
    return (folder / "bootstrap").read_bytes()


@pytest.fixture(scope="module")
def crystal(tmp_path_factory):
    folder = tmp_path_factory.mktemp("crystal")
    words = ["--static", "-Dwithout_openssl", "-Dwithout_zlib", "-o", folder / "bootstrap"]
    built(["crystal", "build", *words, EXAMPLES / "crystal-hello/bootstrap.cr"], {"CRYSTAL_CACHE_DIR": str(folder / "cache")})
    return (folder / "bootstrap").read_bytes()


@pytest.mark.parametrize("runtime", ["provided.al2023", "provided.al2"])
def test_go(deploy, go, runtime):
    function = deploy({"bootstrap": (go, 0o755)}, Runtime=runtime, Handler="any", MemorySize=128)
    for name in ("fire", "ü"):
        assert function.call({"name": name}) == {"hello": name, "function": function.name}
    assert function.error({}) == {"errorMessage": "nobody to greet", "errorType": "errorString"}
    assert function.call({"name": "again"})["hello"] == "again"


def test_c(deploy, c):
    counts_and_echoes(deploy, c)


def test_nim(deploy, nim):
    counts_and_echoes(deploy, nim)


def test_crystal(deploy, crystal):
    counts_and_echoes(deploy, crystal)


def counts_and_echoes(deploy, bootstrap):
    function = deploy({"bootstrap": (bootstrap, 0o755)}, Runtime="provided.al2023", Handler="any", MemorySize=256)
    assert [function.call({"n": n}) for n in range(3)] == [{"count": n + 1, "echo": {"n": n}} for n in range(3)]
    large = "x" * 3_000_000
    assert function.call(large)["echo"] == large

"""Packages that mean harm or make no sense."""

import io
import stat
import struct
import zipfile

import pytest
from botocore.exceptions import ClientError

from conftest import PYTHON, ROLE, unique
from support.packages import entry, link, zip_entries, zip_of

HANDLER = "def handler(event, context):\n    return 1\n"
GOOD = entry("app.py"), HANDLER.encode()


@pytest.fixture
def refused(client, server):
    """refused(package): the message; nothing of it stays."""

    def check(package):
        name = unique()
        staged = sorted(p.name for p in (server.data / "code").iterdir())
        with pytest.raises(ClientError) as caught:
            client.create_function(FunctionName=name, Runtime=PYTHON, Handler="app.handler", Role=ROLE, Code={"ZipFile": package})
            # Accepted: then at least remove it again.
            client.delete_function(FunctionName=name)
        error = caught.value.response
        assert error["Error"]["Code"] in ("InvalidParameterValueException", "RequestEntityTooLargeException"), error
        with pytest.raises(client.exceptions.ResourceNotFoundException):
            client.get_function(FunctionName=name)
        assert sorted(p.name for p in (server.data / "code").iterdir()) == staged
        assert str(server.data) not in error["Error"]["Message"]
        return error["Error"]["Message"]

    return check


WHOLE = zip_of({"app.py": HANDLER})


@pytest.mark.parametrize(
    "package",
    [b"no zip at all", b"PK\x03\x04", WHOLE[:-30], WHOLE[: len(WHOLE) // 2], WHOLE[:40] + b"\xff" + WHOLE[41:], b"\x1f\x8b\x08" + bytes(50)],
    ids=["text", "start only", "no end", "half", "a changed byte", "gzip"],
)
def test_what_is_no_zip(refused, package):
    assert refused(package).startswith("Could not unzip uploaded file")


def test_an_empty_zip(refused):
    assert refused(zip_of({})) == "Uploaded file must be a non-empty zip"


def test_no_bytes_at_all(refused):
    assert refused(b"")


@pytest.mark.parametrize("name", ["../evil", "/evil", "a/../../evil", "..\\evil", "C:\\evil", "a/..", "./../evil", "..", "a//../../evil"])
def test_paths_that_leave_the_package(refused, name):
    refused(zip_entries([GOOD, (entry(name), b"x")]))


def test_names_that_are_too_much(refused):
    refused(zip_entries([GOOD, (entry("x" * 300), b"x")]))
    refused(zip_entries([GOOD, (entry("/".join(["d"] * 2500)), b"x")]))
    refused(zip_entries([GOOD, (entry("a" * 5000), b"x")]))


def test_a_name_with_a_nul(refused):
    package = zip_entries([GOOD, (entry("aXb"), b"x")]).replace(b"aXb", b"a\0b")
    refused(package)


def test_a_link_and_a_file_through_it(refused):
    refused(zip_entries([GOOD, link("out", "/tmp"), (entry("out/evil"), b"x")]))
    refused(zip_entries([GOOD, link("out", ".."), (entry("out/evil"), b"x")]))


def test_links_that_lead_outside_are_kept_and_lead_nowhere_outside(deploy):
    package = zip_entries([(entry("app.py"), b"import os\ndef handler(e, c):\n    return [os.readlink('/var/task/l'), open('/var/task/l').read() if os.path.exists('/var/task/l') else None]\n"), link("l", "/etc/passwd")])
    target, content = deploy(package).call()
    assert target == "/etc/passwd" and content != open("/etc/passwd").read()


def test_links_inside_work(deploy):
    package = zip_entries([(entry("app.py"), b"def handler(e, c):\n    return open('/var/task/d/l').read()\n"), (entry("f"), b"inside"), link("d/l", "../f")])
    assert deploy(package).call() == "inside"


def test_duplicates(refused):
    with pytest.warns(UserWarning):
        package = zip_entries([GOOD, GOOD])
    refused(package)
    refused(zip_entries([GOOD, (entry("a"), b"x"), (entry("a/b"), b"y")]))


@pytest.mark.parametrize("kind", [stat.S_IFBLK, stat.S_IFCHR, stat.S_IFIFO, stat.S_IFSOCK])
def test_entries_that_are_no_files(refused, kind):
    refused(zip_entries([GOOD, (entry("node", kind | 0o666), b"")]))


def test_encrypted_entries(refused):
    package = bytearray(WHOLE)
    at = package.index(b"PK\x01\x02")
    package[6] |= 1
    package[at + 8] |= 1
    refused(bytes(package))


def test_unknown_compression(refused):
    package = bytearray(WHOLE)
    at = package.index(b"PK\x01\x02")
    package[8:10] = package[at + 10 : at + 12] = struct.pack("<H", 97)
    refused(bytes(package))


def test_headers_that_disagree(refused):
    package = bytearray(zip_of({"app.py": HANDLER, "bbbb": "x"}))
    at = package.index(b"bbbb")
    package[at : at + 4] = b"cccc"
    refused(bytes(package))


def test_a_size_that_lies(refused):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("app.py", HANDLER)
        archive.writestr("big", b"0" * 100_000)
    package = bytearray(out.getvalue())
    central = package.rindex(b"PK\x01\x02")
    package[central + 24 : central + 28] = struct.pack("<I", 10)
    refused(bytes(package))


def zeros(size, count=1):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("app.py", HANDLER)
        for n in range(count):
            with archive.open(f"zeros{n}", "w") as file:
                for _ in range(size >> 20):
                    file.write(bytes(1 << 20))
    return out.getvalue()


def test_a_bomb(refused):
    assert refused(zeros(300 << 20)) == "Unzipped size must be smaller than 262144000 bytes"
    assert refused(zeros(100 << 20, 3)) == "Unzipped size must be smaller than 262144000 bytes"


def test_overlapping_entries(refused):
    """Many names for one compressed stream."""
    package = bytearray(zeros(50 << 20))
    central = package.rindex(b"PK\x01\x02")
    end = package.rindex(b"PK\x05\x06")
    record = bytes(package[central:end])
    copies = b"".join(record.replace(b"zeros0", b"zer%03d" % n) for n in range(400))
    tail = bytearray(package[end:])
    start = struct.unpack("<I", tail[16:20])[0]
    first = bytes(package[start:central])
    tail[8:12] = struct.pack("<HH", 401, 401)
    tail[12:16] = struct.pack("<I", len(first) + len(copies))
    refused(bytes(package[:start]) + first + copies + bytes(tail))


def test_too_many_entries(refused):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("app.py", HANDLER)
        for n in range(200_001):
            archive.writestr(f"{n}", b"")
    refused(out.getvalue())


def test_more_than_fifty_megabytes(server, client, refused):
    import os

    message = refused(zip_of({"app.py": HANDLER, "noise": os.urandom(52_428_800)}))
    assert message == "Zipped size must be smaller than 52428800 bytes"


def test_just_below_the_limits(deploy):
    import os

    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(*GOOD)
        archive.writestr("noise", os.urandom(52_428_800 - 1000))
    assert len(out.getvalue()) <= 52_428_800
    assert deploy(out.getvalue()).call() == 1


def test_files_nobody_may_read_are_made_readable_or_left(deploy):
    """Lambda takes modes from the package; the platform itself must cope with any of them."""
    package = zip_of({"app.py": (HANDLER, 0o644), "closed/": ("", 0o000), "closed/in": ("x", 0o000), "secret": ("x", 0o000)})
    function = deploy(package)
    assert function.call() == 1
    function.delete()


def test_a_prefix_before_the_archive_is_refused_or_ignored(client, deploy):
    try:
        assert deploy(b"#!/bin/sh\nexit 0\n" + WHOLE).call() == 1
    except ClientError as error:
        assert error.response["Error"]["Code"] == "InvalidParameterValueException"


def test_a_refused_update_changes_nothing(deploy, client):
    function = deploy(HANDLER)
    with pytest.raises(ClientError):
        client.update_function_code(FunctionName=function.name, ZipFile=b"no zip")
    got = client.get_function_configuration(FunctionName=function.name)
    assert got["LastUpdateStatus"] == "Successful" and function.call() == 1

"""Packages in buckets of another S3, which the option --code-s3 names."""

import subprocess

import pytest

from conftest import PYTHON, ROLE, client_of, unique
from support import errors
from support.clients import service_at, service_of
from support.keys import made
from support.packages import sha256, zip_of
from support.server import HEARTH
from test_upstream import moto  # noqa: F401 - a fixture


def code(text):
    return zip_of({"app.py": f"def handler(event, context):\n    return {text!r}\n"})


def create(client, bucket, key, **version):
    name = unique()
    package = {"S3Bucket": bucket, "S3Key": key, **version}
    client.create_function(FunctionName=name, Runtime=PYTHON, Handler="app.handler", Role=ROLE, Code=package)
    client.get_waiter("function_active_v2").wait(FunctionName=name)
    return name


def test_packages_come_from_an_independent_s3(moto, alone):
    theirs, bucket = service_at(moto, "s3"), unique("b")
    theirs.create_bucket(Bucket=bucket)
    theirs.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    key = "deploys/a b+ü.zip"
    first = theirs.put_object(Bucket=bucket, Key=key, Body=code("first"))["VersionId"]
    theirs.put_object(Bucket=bucket, Key=key, Body=code("second"))
    server = alone("--code-s3", moto)
    client = client_of(server)
    name = create(client, bucket, key)
    assert client.invoke(FunctionName=name)["Payload"].read() == b'"second"'
    client.update_function_code(FunctionName=name, S3Bucket=bucket, S3Key=key, S3ObjectVersion=first)
    client.get_waiter("function_updated_v2").wait(FunctionName=name)
    assert client.invoke(FunctionName=name)["Payload"].read() == b'"first"'
    layer = client.publish_layer_version(LayerName="l", Content={"S3Bucket": bucket, "S3Key": key})
    assert layer["Content"]["CodeSha256"] == sha256(code("second"))
    said = "Error occurred while GetObject. S3 Error Code: {}. S3 Error Message: {}"
    for missing_bucket, missing_key, error in [
        (unique("no"), key, said.format("NoSuchBucket", "The specified bucket does not exist")),
        (bucket, "nowhere", said.format("NoSuchKey", "The specified key does not exist.")),
        (bucket, f"../{bucket}/{key}", said.format("InvalidURI", "Couldn't parse the specified URI.")),
    ]:
        got = errors.refused(client.update_function_code, FunctionName=name, S3Bucket=missing_bucket, S3Key=missing_key)
        assert got == (400, "InvalidParameterValueException", error)
    assert client.invoke(FunctionName=name)["Payload"].read() == b'"first"'
    # A bucket of its own comes first, also where it has no such key.
    ours = service_of(server, "s3")
    ours.create_bucket(Bucket=bucket)
    got = errors.refused(client.update_function_code, FunctionName=name, S3Bucket=bucket, S3Key=key)
    assert got == (400, "InvalidParameterValueException", said.format("NoSuchKey", "The specified key does not exist."))
    client.delete_function(FunctionName=name)
    server.stop()


def test_the_other_s3_is_asked_with_credentials(alone, monkeypatch):
    other = alone("--auth", "required")
    key = made(other)
    theirs = service_of(other, "s3", key["AccessKeyId"], key["SecretAccessKey"])
    theirs.create_bucket(Bucket="packages")
    theirs.put_object(Bucket="packages", Key="f.zip", Body=code("signed"))
    denied = client_of(alone("--code-s3", other.url))
    members = {"FunctionName": "f", "Runtime": PYTHON, "Handler": "app.handler", "Role": ROLE}
    _, _, message = errors.refused(denied.create_function, Code={"S3Bucket": "packages", "S3Key": "f.zip"}, **members)
    assert message.startswith("Error occurred while GetObject. S3 Error Code: InvalidAccessKeyId.")
    monkeypatch.setenv("HEARTH_UPSTREAM_ACCESS_KEY_ID", key["AccessKeyId"])
    monkeypatch.setenv("HEARTH_UPSTREAM_SECRET_ACCESS_KEY", key["SecretAccessKey"])
    client = client_of(alone("--code-s3", other.url))
    name = create(client, "packages", "f.zip")
    assert client.invoke(FunctionName=name)["Payload"].read() == b'"signed"'


def test_another_s3_that_is_not_there_is_no_answer_and_nothing_is_made(alone):
    client = client_of(alone("--code-s3", "http://127.0.0.1:9"))
    members = {"FunctionName": "f", "Runtime": PYTHON, "Handler": "app.handler", "Role": ROLE}
    status, kind, message = errors.refused(client.create_function, Code={"S3Bucket": "packages", "S3Key": "f.zip"}, **members)
    assert (status, kind, message) == (500, "ServiceException", "The package could not be fetched.")
    assert client.list_functions()["Functions"] == []


@pytest.mark.parametrize("url", ["127.0.0.1:9000", "ftp://127.0.0.1", "http://127.0.0.1/?x", ""])
def test_what_names_no_server_is_refused_at_the_start(url):
    done = subprocess.run([HEARTH, "serve", "--code-s3", url], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and "--code-s3" in done.stderr, done

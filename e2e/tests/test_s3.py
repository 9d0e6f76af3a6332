"""S3 beside the functions: buckets and objects as clients use them."""

import hashlib
import io
import random
import threading
import urllib.error
import urllib.request

import boto3
import pytest
from boto3.s3.transfer import TransferConfig
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

from conftest import Function, PYTHON, ROLE, service_on, unique
from support import raw
from support.clients import service_of
from support.packages import sha256, zip_of
from support.server import wait_until

MB = 1 << 20


def noise(size, seed=1):
    return random.Random(seed).randbytes(size)


def code(error):
    return error.value.response["Error"]["Code"]


s3 = service_on("server", "s3")


@pytest.fixture
def bucket(s3):
    name = unique("b")
    s3.create_bucket(Bucket=name)
    yield name
    empty(s3, name)
    s3.delete_bucket(Bucket=name)


def empty(s3, bucket):
    for upload in s3.list_multipart_uploads(Bucket=bucket).get("Uploads", []):
        s3.abort_multipart_upload(Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"])
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
        for version in page.get("Versions", []) + page.get("DeleteMarkers", []):
            s3.delete_object(Bucket=bucket, Key=version["Key"], VersionId=version["VersionId"])


def test_buckets(s3, bucket):
    s3.head_bucket(Bucket=bucket)
    assert bucket in [b["Name"] for b in s3.list_buckets()["Buckets"]]
    assert s3.get_bucket_location(Bucket=bucket)["LocationConstraint"] is None
    s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="k", Body=b"")
    with pytest.raises(ClientError) as error:
        s3.delete_bucket(Bucket=bucket)
    assert code(error) == "BucketNotEmpty"
    with pytest.raises(ClientError) as error:
        s3.create_bucket(Bucket="Not_A_Name")
    assert code(error) == "InvalidBucketName"
    with pytest.raises(ClientError) as error:
        s3.create_bucket(Bucket=unique("b"), CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    assert code(error) == "IllegalLocationConstraintException"
    for call in (s3.head_bucket, s3.delete_bucket, s3.list_objects_v2):
        with pytest.raises(ClientError) as error:
            call(Bucket=unique("nowhere"))
        assert code(error) in ("404", "NoSuchBucket")


def test_an_object_comes_back_as_it_was_sent(s3, bucket):
    body = noise(300_000)
    put = s3.put_object(
        Bucket=bucket, Key="a b/\u00e4+&=%2F?#", Body=body, ContentType="text/x", CacheControl="no-store", Metadata={"who": "me"}, Tagging="a=1&b=2"
    )
    assert put["ETag"] == f'"{hashlib.md5(body).hexdigest()}"'
    got = s3.get_object(Bucket=bucket, Key="a b/\u00e4+&=%2F?#")
    assert got["Body"].read() == body
    assert (got["ContentType"], got["CacheControl"], got["Metadata"], got["TagCount"]) == ("text/x", "no-store", {"who": "me"}, 2)
    assert got["ETag"] == put["ETag"] and got["ContentLength"] == len(body)
    head = s3.head_object(Bucket=bucket, Key="a b/\u00e4+&=%2F?#")
    assert (head["ContentLength"], head["ETag"], head["LastModified"]) == (len(body), put["ETag"], got["LastModified"])
    assert [o["Key"] for o in s3.list_objects_v2(Bucket=bucket)["Contents"]] == ["a b/\u00e4+&=%2F?#"]
    s3.delete_object(Bucket=bucket, Key="a b/\u00e4+&=%2F?#")
    s3.delete_object(Bucket=bucket, Key="a b/\u00e4+&=%2F?#")
    with pytest.raises(ClientError) as error:
        s3.get_object(Bucket=bucket, Key="a b/\u00e4+&=%2F?#")
    assert code(error) == "NoSuchKey"
    with pytest.raises(ClientError) as error:
        s3.head_object(Bucket=bucket, Key="a b/\u00e4+&=%2F?#")
    assert code(error) == "404"


@pytest.mark.parametrize("size", [0, 1, 131_072, 131_073, 3 * MB])
def test_sizes(s3, bucket, size):
    body = noise(size)
    s3.put_object(Bucket=bucket, Key="k", Body=body)
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == body


def test_ranges(s3, bucket):
    body = noise(300_000)
    s3.put_object(Bucket=bucket, Key="k", Body=body)
    for header, part in {"bytes=0-0": body[:1], "bytes=131070-131080": body[131070:131081], "bytes=-5": body[-5:], "bytes=299999-": body[-1:]}.items():
        got = s3.get_object(Bucket=bucket, Key="k", Range=header)
        assert got["Body"].read() == part and got["ResponseMetadata"]["HTTPStatusCode"] == 206
    assert got["ContentRange"] == "bytes 299999-299999/300000"
    with pytest.raises(ClientError) as error:
        s3.get_object(Bucket=bucket, Key="k", Range="bytes=300000-")
    assert code(error) == "InvalidRange"


def test_who_does_not_sign_reaches_buckets_by_their_names(server, s3, bucket):
    """As long as the server is open: curl, and clients that are told not to sign."""
    s3.put_object(Bucket=bucket, Key="a b/k", Body=b"content")
    with urllib.request.urlopen(f"{server.url}/{bucket}/a%20b/k", timeout=30) as answer:
        assert answer.read() == b"content"
    config = Config(signature_version=UNSIGNED, s3={"addressing_style": "path"}, retries={"total_max_attempts": 1})
    nobody = boto3.client("s3", endpoint_url=server.url, region_name="us-east-1", config=config)
    nobody.put_object(Bucket=bucket, Key="new", Body=b"unsigned")
    assert sorted(entry["Key"] for entry in nobody.list_objects_v2(Bucket=bucket)["Contents"]) == ["a b/k", "new"]
    nobody.delete_object(Bucket=bucket, Key="new")
    with pytest.raises(ClientError) as caught:
        nobody.get_object(Bucket=bucket, Key="new")
    assert caught.value.response["Error"]["Code"] == "NoSuchKey"


def test_a_page_in_a_bucket_is_no_way_to_the_api(server, s3, bucket, browse):
    """It lies at the API's own address, and whoever may write to the bucket may have put it there."""
    script = """fetch('/2015-03-31/functions').then(r => r.text(), e => `${e}`).then(said => { document.getElementById('said').textContent = said })"""
    page = f"<html><body><p id=said>nothing</p><script>{script}</script></body></html>"
    s3.put_object(Bucket=bucket, Key="page.html", Body=page.encode(), ContentType="text/html")
    for url in (f"{server.url}/{bucket}/page.html", s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "page.html"})):
        assert '<p id="said">nothing</p>' in browse(url)


def test_conditions(s3, bucket):
    etag = s3.put_object(Bucket=bucket, Key="k", Body=b"one", IfNoneMatch="*")["ETag"]
    with pytest.raises(ClientError) as error:
        s3.put_object(Bucket=bucket, Key="k", Body=b"two", IfNoneMatch="*")
    assert code(error) == "PreconditionFailed"
    with pytest.raises(ClientError) as error:
        s3.get_object(Bucket=bucket, Key="k", IfNoneMatch=etag)
    assert code(error) == "304"
    with pytest.raises(ClientError) as error:
        s3.get_object(Bucket=bucket, Key="k", IfMatch='"x"')
    assert code(error) == "PreconditionFailed"
    s3.put_object(Bucket=bucket, Key="k", Body=b"two", IfMatch=etag)
    with pytest.raises(ClientError) as error:
        s3.put_object(Bucket=bucket, Key="k", Body=b"three", IfMatch=etag)
    assert code(error) == "PreconditionFailed"
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"two"


def test_one_of_many_writers_of_a_new_key_wins(server, s3, bucket):
    outcomes = []

    def write(n):
        try:
            s3.put_object(Bucket=bucket, Key="lock", Body=str(n).encode(), IfNoneMatch="*")
            outcomes.append(n)
        except ClientError as error:
            assert error.response["Error"]["Code"] == "PreconditionFailed"

    writers = [threading.Thread(target=write, args=(n,)) for n in range(8)]
    [writer.start() for writer in writers]
    [writer.join() for writer in writers]
    assert len(outcomes) == 1
    assert s3.get_object(Bucket=bucket, Key="lock")["Body"].read() == str(outcomes[0]).encode()


@pytest.mark.parametrize("algorithm", ["CRC32", "SHA1", "SHA256"])
def test_checksums(s3, bucket, algorithm):
    put = s3.put_object(Bucket=bucket, Key="k", Body=io.BytesIO(b"123456789"), ChecksumAlgorithm=algorithm)
    head = s3.head_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")
    assert put[f"Checksum{algorithm}"] == head[f"Checksum{algorithm}"] and head["ChecksumType"] == "FULL_OBJECT"
    for wrong in ({f"Checksum{algorithm}": put[f"Checksum{algorithm}"][::-1]}, {"ContentMD5": "AAAAAAAAAAAAAAAAAAAAAA=="}):
        with pytest.raises(ClientError) as error:
            s3.put_object(Bucket=bucket, Key="k", Body=b"other", **wrong)
        assert code(error) in ("BadDigest", "InvalidRequest")
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"123456789"


def test_signed_chunks_and_trailers(server, s3, bucket):
    """As SDKs in other languages send bodies that they cannot read twice."""
    scope = "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0"
    chunks = b"4;chunk-signature=%s\r\nWiki\r\n5;chunk-signature=%s\r\npedia\r\n0;chunk-signature=%s\r\n\r\n" % ((b"0" * 64,) * 3)
    headers = {"Authorization": scope, "x-amz-content-sha256": "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "x-amz-decoded-content-length": "9", "Content-Encoding": "aws-chunked,gzip"}
    assert raw.request(server, "PUT", f"/{bucket}/chunks", chunks, headers).status == 200
    got = s3.get_object(Bucket=bucket, Key="chunks")
    assert got["Body"].read() == b"Wikipedia" and got["ContentEncoding"] == "gzip"
    headers["x-amz-decoded-content-length"] = "10"
    assert b"IncompleteBody" in raw.request(server, "PUT", f"/{bucket}/chunks", chunks, headers).body


def test_keys_are_listed_in_order_and_by_pages(s3, bucket):
    keys = sorted(["a", "a/b", "a/c/d", "b/", "b/x", "c", "\u00e4", "a.b", "a/\U0001f600"], key=str.encode)
    for key in keys:
        s3.put_object(Bucket=bucket, Key=key, Body=b"")
    for method in ("list_objects", "list_objects_v2"):
        pages = s3.get_paginator(method).paginate(Bucket=bucket, PaginationConfig={"PageSize": 2})
        assert [o["Key"] for page in pages for o in page.get("Contents", [])] == keys
        pages = list(s3.get_paginator(method).paginate(Bucket=bucket, Delimiter="/", PaginationConfig={"PageSize": 1}))
        assert [o["Key"] for page in pages for o in page.get("Contents", [])] == ["a", "a.b", "c", "\u00e4"]
        assert [p["Prefix"] for page in pages for p in page.get("CommonPrefixes", [])] == ["a/", "b/"]
        assert len(pages) == 6
    listed = s3.list_objects_v2(Bucket=bucket, Prefix="a/", Delimiter="/", StartAfter="a/b")
    assert [o["Key"] for o in listed["Contents"]] == ["a/\U0001f600"] and [p["Prefix"] for p in listed["CommonPrefixes"]] == ["a/c/"]
    assert listed["KeyCount"] == 2 and not listed["IsTruncated"]


def test_many_keys_below_one_prefix(s3, bucket):
    for n in range(1205):
        s3.put_object(Bucket=bucket, Key=f"many/{n:05}", Body=b"")
    s3.put_object(Bucket=bucket, Key="z", Body=b"")
    listed = s3.list_objects_v2(Bucket=bucket, Delimiter="/")
    assert [p["Prefix"] for p in listed["CommonPrefixes"]] == ["many/"] and [o["Key"] for o in listed["Contents"]] == ["z"]
    pages = list(s3.get_paginator("list_objects_v2").paginate(Bucket=bucket))
    assert [len(page["Contents"]) for page in pages] == [1000, 206]
    deleted = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": o["Key"]} for o in pages[0]["Contents"]]})
    assert len(deleted["Deleted"]) == 1000 and "Errors" not in deleted
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 206


def test_multipart_of_20_mb(s3, bucket, tmp_path):
    body = noise(20 * MB + 7)
    config = TransferConfig(multipart_threshold=5 * MB, multipart_chunksize=5 * MB, max_concurrency=4)
    s3.upload_fileobj(io.BytesIO(body), bucket, "big", Config=config)
    head = s3.head_object(Bucket=bucket, Key="big", ChecksumMode="ENABLED")
    assert head["ContentLength"] == len(body) and head["ETag"].endswith('-5"')
    assert head["ChecksumType"] == "COMPOSITE" and head["ChecksumCRC32"].endswith("-5")
    back = io.BytesIO()
    s3.download_fileobj(bucket, "big", back, Config=config)
    assert back.getvalue() == body
    part = s3.get_object(Bucket=bucket, Key="big", PartNumber=2)
    assert part["Body"].read() == body[5 * MB : 10 * MB] and part["PartsCount"] == 5
    copied = s3.copy_object(Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": "big"})
    assert copied["CopyObjectResult"]["ETag"] == f'"{hashlib.md5(body).hexdigest()}"'
    s3.delete_object(Bucket=bucket, Key="big")
    assert s3.get_object(Bucket=bucket, Key="copy")["Body"].read() == body


def test_multipart_step_by_step(s3, bucket):
    upload = {"Bucket": bucket, "Key": "k", "UploadId": s3.create_multipart_upload(Bucket=bucket, Key="k", ContentType="text/y", Metadata={"a": "b"})["UploadId"]}
    s3.put_object(Bucket=bucket, Key="source", Body=noise(6 * MB))
    first = s3.upload_part(**upload, PartNumber=1, Body=b"x" * 5 * MB)["ETag"]
    s3.upload_part(**upload, PartNumber=2, Body=b"replaced")
    second = s3.upload_part_copy(**upload, PartNumber=2, CopySource=f"{bucket}/source", CopySourceRange=f"bytes=0-{5 * MB}")["CopyPartResult"]["ETag"]
    last = s3.upload_part(**upload, PartNumber=7, Body=b"end")["ETag"]
    assert [(p["PartNumber"], p["Size"]) for p in s3.list_parts(**upload)["Parts"]] == [(1, 5 * MB), (2, 5 * MB + 1), (7, 3)]
    assert [u["Key"] for u in s3.list_multipart_uploads(Bucket=bucket)["Uploads"]] == ["k"]
    part = lambda number, etag: {"PartNumber": number, "ETag": etag}
    eighth = s3.upload_part(**upload, PartNumber=8, Body=b"more")["ETag"]
    for wrong, expected in [
        ([part(1, second)], "InvalidPart"),
        ([part(7, last), part(1, first)], "InvalidPartOrder"),
        ([part(7, last), part(8, eighth)], "EntityTooSmall"),
    ]:
        with pytest.raises(ClientError) as error:
            s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": wrong})
        assert code(error) == expected
    done = s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": [part(1, first), part(2, second), part(7, last)]})
    assert done["ETag"].endswith('-3"')
    got = s3.get_object(Bucket=bucket, Key="k")
    assert got["Body"].read() == b"x" * 5 * MB + noise(6 * MB)[: 5 * MB + 1] + b"end"
    assert (got["ContentType"], got["Metadata"]) == ("text/y", {"a": "b"})
    for call in (s3.list_parts, s3.abort_multipart_upload):
        with pytest.raises(ClientError) as error:
            call(**upload)
        assert code(error) == "NoSuchUpload"


def test_versions(s3, bucket):
    put = lambda body: s3.put_object(Bucket=bucket, Key="k", Body=body).get("VersionId")
    assert put(b"before") is None
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
    one, two = put(b"one"), put(b"two")
    read = lambda **version: s3.get_object(Bucket=bucket, Key="k", **version)["Body"].read()
    assert (read(), read(VersionId=one), read(VersionId="null")) == (b"two", b"one", b"before")
    marker = s3.delete_object(Bucket=bucket, Key="k")
    assert marker["DeleteMarker"]
    with pytest.raises(ClientError) as error:
        read()
    assert code(error) == "NoSuchKey"
    listed = s3.list_object_versions(Bucket=bucket)
    assert [(v["VersionId"], v["IsLatest"]) for v in listed["Versions"]] == [(two, False), (one, False), ("null", False)]
    assert [(m["VersionId"], m["IsLatest"]) for m in listed["DeleteMarkers"]] == [(marker["VersionId"], True)]
    pages = s3.get_paginator("list_object_versions").paginate(Bucket=bucket, PaginationConfig={"PageSize": 1})
    assert [v["VersionId"] for page in pages for v in page.get("Versions", [])] == [two, one, "null"]
    s3.delete_object(Bucket=bucket, Key="k", VersionId=marker["VersionId"])
    assert read() == b"two"
    s3.delete_object(Bucket=bucket, Key="k", VersionId=two)
    assert read() == b"one"
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Suspended"})
    assert put(b"suspended") == "null"
    assert (read(), read(VersionId=one)) == (b"suspended", b"one")
    assert [v["VersionId"] for v in s3.list_object_versions(Bucket=bucket)["Versions"]] == ["null", one]
    with pytest.raises(ClientError) as error:
        read(VersionId=two)
    assert code(error) == "NoSuchVersion"
    with pytest.raises(ClientError) as error:
        s3.delete_bucket(Bucket=bucket)
    assert code(error) == "BucketNotEmpty"


def test_copies_and_tags(s3, bucket):
    s3.put_object(Bucket=bucket, Key="a", Body=b"text", ContentType="text/x", Metadata={"m": "1"}, Tagging="t=1")
    s3.copy_object(Bucket=bucket, Key="b", CopySource={"Bucket": bucket, "Key": "a"})
    s3.copy_object(Bucket=bucket, Key="c", CopySource={"Bucket": bucket, "Key": "a"}, MetadataDirective="REPLACE", Metadata={"m": "2"})
    s3.delete_object(Bucket=bucket, Key="a")
    got = s3.get_object(Bucket=bucket, Key="b")
    assert (got["Body"].read(), got["Metadata"], got["ContentType"]) == (b"text", {"m": "1"}, "text/x")
    assert s3.head_object(Bucket=bucket, Key="c")["Metadata"] == {"m": "2"}
    assert s3.get_object_tagging(Bucket=bucket, Key="b")["TagSet"] == [{"Key": "t", "Value": "1"}]
    s3.put_object_tagging(Bucket=bucket, Key="b", Tagging={"TagSet": [{"Key": "n", "Value": "2"}]})
    assert s3.get_object_tagging(Bucket=bucket, Key="b")["TagSet"] == [{"Key": "n", "Value": "2"}]
    s3.delete_object_tagging(Bucket=bucket, Key="b")
    assert s3.get_object_tagging(Bucket=bucket, Key="b")["TagSet"] == []
    with pytest.raises(ClientError) as error:
        s3.copy_object(Bucket=bucket, Key="b", CopySource={"Bucket": bucket, "Key": "b"})
    assert code(error) == "InvalidRequest"


@pytest.mark.parametrize("version", ["s3v4", None])
def test_links_are_good_until_they_end(server, s3, bucket, version):
    s3 = service_of(server, "s3", **({"signature_version": version} if version else {}))
    put = s3.generate_presigned_url("put_object", Params={"Bucket": bucket, "Key": "k"}, ExpiresIn=60)
    with urllib.request.urlopen(urllib.request.Request(put, data=b"by link", method="PUT")) as answer:
        assert answer.status == 200
    get = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "k", "ResponseContentType": "text/z"}, ExpiresIn=60)
    with urllib.request.urlopen(get) as answer:
        assert answer.read() == b"by link" and answer.headers["Content-Type"] == "text/z"
    ended = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "k"}, ExpiresIn=-1)
    with pytest.raises(urllib.error.HTTPError) as error:
        urllib.request.urlopen(ended)
    assert error.value.code in (400, 403)


def test_hosts_name_buckets(server, s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"by host")
    scope = {"Authorization": "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0"}
    for host in (f"{bucket}.localhost:{server.port}", f"{bucket}.s3.localhost:{server.port}", f"{bucket}.s3.us-east-1.localhost"):
        assert raw.request(server, "GET", "/k", b"", {**scope, "Host": host}).body == b"by host"
    assert raw.request(server, "GET", f"/{bucket}/k", b"", {"Host": f"s3.localhost:{server.port}"}).body == b"by host"


def test_what_is_not_supported_says_so(s3, bucket):
    for call in (
        lambda: s3.put_object(Bucket=bucket, Key="k", Body=b"", ServerSideEncryption="aws:kms"),
        lambda: s3.put_bucket_policy(Bucket=bucket, Policy="{}"),
        lambda: s3.get_object_attributes(Bucket=bucket, Key="k", ObjectAttributes=["ETag"]),
    ):
        with pytest.raises(ClientError) as error:
            call()
        assert code(error) == "NotImplemented"
    with pytest.raises(ClientError) as error:
        s3.put_object(Bucket=bucket, Key="k", Body=b"", ACL="public-read")
    assert code(error) == "AccessControlListNotSupported"


def test_what_deploy_tools_read_of_a_bucket(s3, bucket):
    assert "Status" not in s3.get_bucket_versioning(Bucket=bucket)
    assert s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]["BlockPublicAcls"]
    assert s3.get_bucket_ownership_controls(Bucket=bucket)["OwnershipControls"]["Rules"] == [{"ObjectOwnership": "BucketOwnerEnforced"}]
    assert s3.get_bucket_acl(Bucket=bucket)["Grants"][0]["Permission"] == "FULL_CONTROL"
    assert "LambdaFunctionConfigurations" not in s3.get_bucket_notification_configuration(Bucket=bucket)
    s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": [{"Key": "a", "Value": "b"}]})
    assert s3.get_bucket_tagging(Bucket=bucket)["TagSet"] == [{"Key": "a", "Value": "b"}]
    s3.delete_bucket_tagging(Bucket=bucket)
    expected = {
        "tagging": "NoSuchTagSet",
        "encryption": "ServerSideEncryptionConfigurationNotFoundError",
        "policy": "NoSuchBucketPolicy",
        "lifecycle_configuration": "NoSuchLifecycleConfiguration",
        "cors": "NoSuchCORSConfiguration",
        "website": "NoSuchWebsiteConfiguration",
        "replication": "ReplicationConfigurationNotFoundError",
    }
    for name, missing in expected.items():
        with pytest.raises(ClientError) as error:
            getattr(s3, f"get_bucket_{name}")(Bucket=bucket)
        assert code(error) == missing


def test_the_command_line_client(aws, tmp_path, bucket):
    folder = tmp_path / "site"
    (folder / "sub").mkdir(parents=True)
    (folder / "index.html").write_text("<p>")
    (folder / "sub" / "big").write_bytes(noise(9 * MB))
    aws_text = lambda *words: aws("s3", *words, "--only-show-errors")
    aws_text("sync", folder, f"s3://{bucket}/site")
    aws_text("cp", f"s3://{bucket}/site/sub/big", "big")
    assert (tmp_path / "big").read_bytes() == noise(9 * MB)
    aws_text("sync", f"s3://{bucket}/site", "back")
    assert (tmp_path / "back" / "index.html").read_text() == "<p>"
    aws_text("mv", f"s3://{bucket}/site/index.html", f"s3://{bucket}/moved.html")
    listed = aws("s3api", "list-objects-v2", "--bucket", bucket)
    assert [o["Key"] for o in listed["Contents"]] == ["moved.html", "site/sub/big"]
    assert aws("s3api", "head-object", "--bucket", bucket, "--key", "moved.html")["ContentType"] == "text/html"
    aws_text("rm", f"s3://{bucket}", "--recursive")
    assert not (aws("s3api", "list-objects-v2", "--bucket", bucket) or {}).get("Contents")


def test_what_was_acknowledged_survives_a_crash_and_nothing_else_stays(alone):
    server = alone()
    s3 = service_of(server, "s3")
    s3.create_bucket(Bucket="kept")
    small, big = noise(1000, 2), noise(11 * MB, 3)
    s3.put_object(Bucket="kept", Key="small", Body=small)
    s3.upload_fileobj(io.BytesIO(big), "kept", "big")
    upload = s3.create_multipart_upload(Bucket="kept", Key="open")["UploadId"]
    part = s3.upload_part(Bucket="kept", Key="open", UploadId=upload, PartNumber=1, Body=small)["ETag"]
    # One that is still being sent.
    begun = raw.connect(server)
    scope = "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0"
    head = f"PUT /kept/begun HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: {scope}\r\nContent-Length: 9000000\r\n\r\n"
    begun.sendall(head.encode() + b"x" * 4_000_000)
    objects = server.data / "objects"
    wait_until(lambda: len(list(objects.iterdir())) > 4, 60, "the object that is being sent has no file")
    server.kill()
    begun.close()
    (objects / "0123456789abcdef0123456789abcdef").write_bytes(b"left by a crash")
    server.start()
    s3 = service_of(server, "s3")
    assert s3.get_object(Bucket="kept", Key="small")["Body"].read() == small
    assert s3.get_object(Bucket="kept", Key="big")["Body"].read() == big
    assert [o["Key"] for o in s3.list_objects_v2(Bucket="kept")["Contents"]] == ["big", "small"]
    s3.complete_multipart_upload(Bucket="kept", Key="open", UploadId=upload, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part}]})
    assert s3.get_object(Bucket="kept", Key="open")["Body"].read() == small
    # Two parts of the big one, and one file each of the others.
    assert len(list(objects.iterdir())) == 4
    for key in ("small", "big", "open"):
        s3.delete_object(Bucket="kept", Key=key)
    wait_until(lambda: not list(objects.iterdir()), 60, "files of deleted objects stay")
    s3.delete_bucket(Bucket="kept")
    server.stop()


def test_functions_and_layers_come_from_buckets(client, deploy_from_s3, s3, bucket):
    code = lambda text: zip_of({"app.py": f"def handler(event, context):\n    return {text!r}\n"})
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    first = s3.put_object(Bucket=bucket, Key="f.zip", Body=code("first"))["VersionId"]
    s3.put_object(Bucket=bucket, Key="f.zip", Body=code("second"))
    function = deploy_from_s3({"S3Bucket": bucket, "S3Key": "f.zip"})
    assert function.call() == "second"
    client.update_function_code(FunctionName=function.name, S3Bucket=bucket, S3Key="f.zip", S3ObjectVersion=first)
    assert function.ready().call() == "first"
    layer = client.publish_layer_version(LayerName=unique("layer"), Content={"S3Bucket": bucket, "S3Key": "f.zip"})
    assert layer["Content"]["CodeSha256"] == sha256(code("second"))
    client.delete_layer_version(LayerName=layer["LayerArn"], VersionNumber=1)
    s3.put_object(Bucket=bucket, Key="bad.zip", Body=b"no package")
    refused = {
        ("nowhere-at-all", "f.zip"): "Error occurred while GetObject. S3 Error Code: NoSuchBucket. S3 Error Message: The specified bucket does not exist",
        (bucket, "nowhere"): "Error occurred while GetObject. S3 Error Code: NoSuchKey. S3 Error Message: The specified key does not exist.",
        (bucket, "bad.zip"): "Could not unzip uploaded file. Please check your file, then try to upload again.",
    }
    for (name, key), message in refused.items():
        with pytest.raises(client.exceptions.InvalidParameterValueException) as error:
            client.update_function_code(FunctionName=function.name, S3Bucket=name, S3Key=key)
        assert error.value.response["Error"]["Message"] == message
    assert function.call() == "first"


def test_the_cli_deploys_from_a_bucket(aws, s3, bucket, tmp_path):
    (tmp_path / "f.zip").write_bytes(zip_of({"app.py": "def handler(event, context):\n    return 'from the bucket'\n"}))
    aws("s3", "cp", "--no-progress", "--quiet", "f.zip", f"s3://{bucket}/deploys/f.zip")
    name = unique()
    code = f"S3Bucket={bucket},S3Key=deploys/f.zip"
    aws("lambda", "create-function", "--function-name", name, "--runtime", PYTHON, "--handler", "app.handler", "--role", ROLE, "--code", code)
    aws("lambda", "wait", "function-active-v2", "--function-name", name)
    aws("lambda", "invoke", "--function-name", name, "out.json")
    assert (tmp_path / "out.json").read_text() == '"from the bucket"'
    error = aws("lambda", "update-function-code", "--function-name", name, "--s3-bucket", bucket, "--s3-key", "gone", fails=True)
    assert "S3 Error Code: NoSuchKey. S3 Error Message: The specified key does not exist." in error
    aws("lambda", "delete-function", "--function-name", name)


@pytest.fixture
def deploy_from_s3(client):
    made = []

    def deploy(code):
        name = unique()
        client.create_function(FunctionName=name, Runtime=PYTHON, Handler="app.handler", Role=ROLE, Code=code)
        made.append(Function(client, name))
        return made[-1].ready()

    yield deploy
    for function in made:
        function.delete()

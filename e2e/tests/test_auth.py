"""Signatures: who is let in, in which mode, and what everybody else is told."""

import json
import os
import subprocess
import urllib.error
import urllib.parse
import urllib.request

import boto3
import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

from conftest import deployer
from support import raw
from support.errors import refused
from support.keys import allow, client_with, hearth_keys, made, made_with, make_role
from support.server import HEARTH, Server
from support.sigv4 import Signed

LIST = "/2015-03-31/functions"
INVALID = "InvalidSignatureException"
DUMMY = {"AccessKeyId": "test", "SecretAccessKey": "test"}


@pytest.fixture(scope="module")
def admin(strict):
    return made(strict)


def sent(request, **changed):
    """The answer to a signed request, with parts changed after signing."""
    headers = {**request.headers, **changed.pop("headers", {})}
    path, body = changed.get("path", request.path), changed.get("body", request.body)
    return raw.request(request.server, request.method, path, body=body, headers=list(headers.items()))


def error(answer):
    assert answer.status == 403, answer
    assert "x-amzn-requestid" in answer.headers
    return answer.error, answer.message


def test_boto3_and_the_command_line_are_let_in_with_a_key(strict, admin, tmp_path):
    assert client_with(strict, "lambda", admin).list_functions()["Functions"] == []
    assert client_with(strict, "sts", admin).get_caller_identity()["Arn"] == "arn:aws:iam::000000000000:user/admin"
    assert client_with(strict, "iam", admin).list_policies(Scope="Local")["Policies"] == []
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "AWS_ENDPOINT_URL": strict.url,
        "AWS_ACCESS_KEY_ID": admin["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": admin["SecretAccessKey"],
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    for words, says in [(["lambda", "list-functions"], '"Functions": []'), (["s3", "ls"], "")]:
        done = subprocess.run([os.environ["AWS"], *words], env=environment, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0 and says in done.stdout, done


def test_a_deleted_key_is_refused_at_once(strict):
    key = made(strict, "--user", "gone")
    functions = client_with(strict, "lambda", key)
    functions.list_functions()
    hearth_keys(strict, "delete", key["AccessKeyId"])
    assert refused(functions.list_functions)[1] == "UnrecognizedClientException"


@pytest.mark.parametrize(
    "service, call, code",
    [
        ("lambda", "list_functions", "UnrecognizedClientException"),
        ("iam", "list_roles", "InvalidClientTokenId"),
        ("sts", "get_caller_identity", "InvalidClientTokenId"),
        ("ssm", "describe_parameters", "UnrecognizedClientException"),
        ("logs", "describe_log_groups", "UnrecognizedClientException"),
        ("s3", "list_buckets", "InvalidAccessKeyId"),
    ],
)
def test_every_service_refuses_unknown_keys_and_wrong_secrets_in_its_own_words(strict, admin, service, call, code):
    assert refused(getattr(client_with(strict, service, DUMMY), call))[:2] == (403, code)
    wrong = getattr(client_with(strict, service, {**admin, "SecretAccessKey": "wrong"}), call)
    expected = INVALID if code == "UnrecognizedClientException" else "SignatureDoesNotMatch"
    status, code, message = refused(wrong)
    assert (status, code) == (403, expected) and message.startswith("The request signature we calculated does not match")


def test_who_does_not_sign_is_refused(strict, admin):
    assert error(raw.request(strict, "GET", LIST)) == ("MissingAuthenticationTokenException", "Missing Authentication Token")
    unsigned = Config(signature_version=UNSIGNED, retries={"total_max_attempts": 1})
    client = boto3.client("lambda", endpoint_url=strict.url, region_name="us-east-1", config=unsigned)
    assert refused(client.list_functions)[:2] == (403, "MissingAuthenticationTokenException")
    answer = raw.request(strict, "GET", "/bucket/k", headers=[("Host", "s3.localhost")])
    assert answer.status == 403 and b"<Code>AccessDenied</Code>" in answer.body
    client_with(strict, "s3", admin).create_bucket(Bucket="signed-only")
    answer = raw.request(strict, "GET", "/signed-only/k")
    assert answer.status == 403 and b"<Code>AccessDenied</Code>" in answer.body
    form = b"Action=ListRoles&Version=2010-05-08"
    answer = raw.request(strict, "POST", "/", body=form, headers=[("Content-Type", "application/x-www-form-urlencoded")])
    assert answer.status == 403 and b"<Code>MissingAuthenticationToken</Code>" in answer.body


@pytest.mark.parametrize("shift, says", [(-6 * 60, "Signature expired: "), (6 * 60, "Signature not yet current: ")])
def test_clocks_may_differ_by_five_minutes(strict, admin, shift, says):
    code, message = error(sent(Signed(strict, admin, "GET", LIST, shift=shift).sign()))
    assert code == INVALID and message.startswith(says), message
    near = shift // 6 * 4
    assert sent(Signed(strict, admin, "GET", LIST, shift=near).sign()).status == 200


@pytest.mark.parametrize(
    "members, says",
    [
        ({"region": "eu-west-1"}, "Credential should be scoped to a valid region."),
        ({"service": "ec2"}, None),
    ],
)
def test_a_scope_is_for_this_place_and_service(strict, admin, members, says):
    answer = sent(Signed(strict, admin, "GET", LIST, **members).sign())
    assert answer.status in (403, 501), answer
    if says:
        assert error(answer) == (INVALID, says + " ")


def test_what_was_signed_cannot_be_changed(strict, admin):
    request = Signed(strict, admin, "POST", f"{LIST}/f/invocations?Qualifier=1", body=b'{"a":1}', headers={"x-amz-invocation-type": "DryRun"}).sign()
    assert sent(request).status == 404
    for changed in (
        {"body": b'{"a":2}'},
        {"path": f"{LIST}/g/invocations?Qualifier=1"},
        {"path": f"{LIST}/f/invocations?Qualifier=2"},
        {"headers": {"x-amz-invocation-type": "RequestResponse"}},
        {"headers": {"host": f"localhost:{strict.port}"}},
    ):
        assert error(sent(request, **changed))[0] == INVALID, changed
    code, message = error(sent(request, headers={"x-amz-log-type": "Tail"}))
    assert (code, message) == (INVALID, "'x-amz-log-type' must be a 'SignedHeader' in the AWS Authorization.")


def test_the_host_is_always_signed(strict, admin):
    request = Signed(strict, admin, "GET", LIST)
    request.unsigned.add("host")
    assert error(sent(request.sign()))[0] == INVALID


@pytest.mark.parametrize(
    "authorization",
    [
        "AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders=host;x-amz-date",
        "AWS4-HMAC-SHA256 SignedHeaders=host;x-amz-date, Signature={signature}",
        "AWS4-HMAC-SHA256 Credential={credential}, Signature={signature}",
        "AWS4-HMAC-SHA256 {credential}",
        "AWS4-HMAC-SHA512 Credential={credential}, SignedHeaders=host;x-amz-date, Signature={signature}",
        "AWS4-ECDSA-P256-SHA256 Credential={credential}, SignedHeaders=host;x-amz-date, Signature={signature}",
        "Bearer {signature}",
        "",
    ],
)
def test_what_is_no_signature_is_refused(strict, admin, authorization):
    request = Signed(strict, admin, "GET", LIST).sign()
    credential = f"{admin['AccessKeyId']}/{request.scope}"
    text = authorization.format(credential=credential, signature=request.signature)
    assert error(sent(request, headers={"authorization": text}))[0] == "IncompleteSignatureException"


@pytest.mark.parametrize("name", ["A" * 4096, "AKIA\u00e4\u00e4\u00e4\u00e4", "AKIA%0a%1b[31m", "../../etc", "AKIA' OR 1=1"])
def test_odd_access_keys_are_nobodys(strict, admin, name):
    answer = sent(Signed(strict, {**admin, "AccessKeyId": name}, "GET", LIST).sign())
    assert error(answer)[0] in ("UnrecognizedClientException", "IncompleteSignatureException", INVALID)


def test_links_are_good_until_they_end(strict, admin):
    s3 = client_with(strict, "s3", admin)
    s3.create_bucket(Bucket="links")
    s3.put_object(Bucket="links", Key="a b/k", Body=b"content")
    link = s3.generate_presigned_url("get_object", Params={"Bucket": "links", "Key": "a b/k"}, ExpiresIn=60)
    assert urllib.request.urlopen(link, timeout=30).read() == b"content"
    put = s3.generate_presigned_url("put_object", Params={"Bucket": "links", "Key": "new"}, ExpiresIn=60)
    assert urllib.request.urlopen(urllib.request.Request(put, data=b"by link", method="PUT"), timeout=30).status == 200
    assert s3.get_object(Bucket="links", Key="new")["Body"].read() == b"by link"
    for changed in (link.replace("/k?", "/other?"), link.replace("X-Amz-Expires=60", "X-Amz-Expires=6000"), link[:-1] + ("0" if link[-1] != "0" else "1")):
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(changed, timeout=30)
        assert caught.value.code == 403 and b"<Code>SignatureDoesNotMatch</Code>" in caught.value.read()


def test_a_links_time_runs_out(strict, admin):
    old = Signed(strict, admin, "GET", "/links/none", service="s3", shift=-120)
    query = {
        "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
        "X-Amz-Credential": f"{admin['AccessKeyId']}/{old.scope}",
        "X-Amz-Date": old.time,
        "X-Amz-Expires": "60",
        "X-Amz-SignedHeaders": "host",
    }
    old.headers = {"host": old.headers["host"], "x-amz-content-sha256": "UNSIGNED-PAYLOAD"}
    old.unsigned.add("x-amz-content-sha256")
    old.path += "?" + urllib.parse.urlencode(query)
    old.sign()
    answer = raw.request(strict, "GET", f"{old.path}&X-Amz-Signature={old.signature}")
    assert answer.status == 403 and b"<Message>Request has expired</Message>" in answer.body, answer


@pytest.mark.parametrize(
    "was, now, says",
    [
        ("X-Amz-Expires=60", "X-Amz-Expires=604801", b"X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less than 604800 seconds"),
        ("X-Amz-Expires=60", "X-Amz-Expires=-1", b"X-Amz-Expires must be non-negative"),
        ("X-Amz-Expires=60", "X-Amz-Expires=soon", b"X-Amz-Expires should be a number"),
        ("us-east-1", "eu-west-1", b"Error parsing the X-Amz-Credential parameter; the region 'eu-west-1' is wrong; expecting 'us-east-1'"),
    ],
)
def test_what_is_wrong_with_a_link_is_told(strict, admin, was, now, says):
    link = client_with(strict, "s3", admin).generate_presigned_url("get_object", Params={"Bucket": "links", "Key": "k"}, ExpiresIn=60)
    assert was in link
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(link.replace(was, now), timeout=30)
    body = caught.value.read()
    assert caught.value.code == 400 and body.startswith(b"<?xml"), body
    assert b"<Code>AuthorizationQueryParametersError</Code><Message>" + says + b"</Message>" in body, body


def test_a_token_that_is_no_sessions_is_called_a_token(strict, admin):
    s3 = client_with(strict, "s3", {**admin, "SessionToken": "made-up"})
    with pytest.raises(ClientError) as caught:
        s3.list_buckets()
    assert caught.value.response["Error"]["Code"] == "InvalidToken"
    assert caught.value.response["Error"]["Message"] == "The provided token is malformed or otherwise invalid."


def test_links_to_code_need_no_key(strict, admin):
    functions = client_with(strict, "lambda", admin)
    make_role(strict, admin)
    deploy, clean = deployer(functions)
    function = deploy("def handler(event, context): return 1")
    location = functions.get_function(FunctionName=function.name)["Code"]["Location"]
    assert urllib.request.urlopen(location, timeout=30).read()[:2] == b"PK"
    clean()


def test_bodies_in_signed_chunks_are_checked_chunk_by_chunk(strict, admin):
    client_with(strict, "s3", admin).create_bucket(Bucket="chunks")
    parts = [b"x" * 70_000, b"y" * 70_000, b"end", b""]
    for spoiled in (None, 0, 2):
        headers = {"x-amz-content-sha256": "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "content-encoding": "aws-chunked", "x-amz-decoded-content-length": str(sum(map(len, parts)))}
        request = Signed(strict, admin, "PUT", "/chunks/k", service="s3", headers=headers).sign()
        signature, body = request.signature, b""
        for number, part in enumerate(parts):
            chunk, signature = request.chunk(part, signature)
            body += chunk.replace(part[:1], b"z", 1) if number == spoiled else chunk
        answer = sent(request, body=body)
        if spoiled is None:
            assert answer.status == 200, answer
        else:
            assert answer.status in (400, 403), answer
        kept = client_with(strict, "s3", admin).get_object(Bucket="chunks", Key="k")["Body"].read()
        assert kept == b"".join(parts), "what is refused changes nothing"


def test_a_body_that_was_not_signed_is_refused_by_s3_too(strict, admin):
    client_with(strict, "s3", admin).create_bucket(Bucket="unsigned")
    bucket = b"<CreateBucketConfiguration/>"
    for path, body in [("/spoiled", bucket), ("/unsigned/k", b"content")]:
        request = Signed(strict, admin, "PUT", path, body=body, service="s3").sign()
        answer = sent(request, body=body.replace(b"C", b"D").replace(b"c", b"d"))
        assert answer.status == 400 and b"XAmzContentSHA256Mismatch" in answer.body, answer


def test_web_pages_are_refused_even_with_a_signature(strict, admin):
    request = Signed(strict, admin, "GET", LIST, headers={"origin": "http://evil.example"}).sign()
    answer = sent(request)
    assert answer.status == 403 and "access-control-allow-origin" not in answer.headers
    assert "web pages" in answer.message


def test_the_servers_own_pages_are_for_those_who_may_see_functions(strict, admin, tmp_path):
    assert raw.request(strict, "GET", "/_hearth/health").status == 200
    for page in ("/_hearth/logs/f", "/_hearth/functions/f/environments"):
        assert error(raw.request(strict, "GET", page))[0] == "MissingAuthenticationTokenException"
    nobody = made_with(strict, tmp_path, "nobody", allow("s3:*"))
    for key, says in [(nobody, "is not authorized to perform: logs:FilterLogEvents"), (admin, "there is no function f"), (DUMMY, "invalid")]:
        environment = {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}
        done = subprocess.run([HEARTH, "logs", "f", "--endpoint", strict.url], env=environment, capture_output=True, text=True, timeout=30)
        assert done.returncode != 0 and says in done.stderr, done


def test_other_addresses_than_loopback_ask_for_signatures():
    server = Server(listen="0.0.0.0:0").start()
    try:
        assert raw.request(server, "GET", LIST).status == 403
        key = made(server)
        request = Signed(server, key, "GET", LIST, headers={"host": "hearth.example:4566"}).sign()
        assert sent(request).status == 200, "any name of the server's may be used"
        server.stop()
    finally:
        server.close()


def test_an_open_door_takes_any_key_and_holds_its_own_to_their_policies(alone, tmp_path):
    server = alone()
    for key in (DUMMY, {"AccessKeyId": "AKIAIOSFODNN7EXAMPLE", "SecretAccessKey": "x"}, {"AccessKeyId": "ASIAIOSFODNN7EXAMPLE", "SecretAccessKey": "x", "SessionToken": "y"}):
        assert client_with(server, "lambda", key).list_functions()["Functions"] == []
        assert client_with(server, "sts", key).get_caller_identity()["Arn"] == "arn:aws:iam::000000000000:root"
    lister = made_with(server, tmp_path, "lister", allow("lambda:ListFunctions"))
    functions = client_with(server, "lambda", lister)
    assert functions.list_functions()["Functions"] == []
    assert refused(functions.list_layers)[1] == "AccessDeniedException"
    wrong = client_with(server, "lambda", {**lister, "SecretAccessKey": "x"})
    assert refused(wrong.list_functions)[1] == INVALID
    assert raw.request(server, "GET", LIST).status == 200


def test_sessions_are_let_in_with_their_token_only(strict, admin):
    iam, sts = client_with(strict, "iam", admin), client_with(strict, "sts", admin)
    trust = {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": "000000000000"}}}
    role = iam.create_role(RoleName="lister", AssumeRolePolicyDocument=json.dumps(trust))["Role"]
    iam.put_role_policy(RoleName="lister", PolicyName="p", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": allow("lambda:ListFunctions")}))
    assume = lambda name, **more: sts.assume_role(RoleArn=role["Arn"], RoleSessionName=name, **more)["Credentials"]
    one, other = assume("one"), assume("other")
    functions = client_with(strict, "lambda", one)
    assert functions.list_functions()["Functions"] == []
    message = refused(functions.list_layers)[2]
    assert message.startswith("User: arn:aws:sts::000000000000:assumed-role/lister/one is not authorized to perform: lambda:ListLayers")
    for token in (None, other["SessionToken"], "x"):
        assert refused(client_with(strict, "lambda", {**one, "SessionToken": token}).list_functions)[1] == "UnrecognizedClientException"
    narrow = assume("narrow", Policy=json.dumps({"Version": "2012-10-17", "Statement": allow("lambda:ListLayers")}))
    assert "because no session policy allows" in refused(client_with(strict, "lambda", narrow).list_functions)[2]
    iam.delete_role_policy(RoleName="lister", PolicyName="p")
    assert refused(functions.list_functions)[1] == "AccessDeniedException", "a role's change counts at once"


def test_keys_and_sessions_outlive_a_restart(alone):
    server = alone("--auth", "required")
    key = made(server)
    iam, sts = client_with(server, "iam", key), client_with(server, "sts", key)
    trust = {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": "000000000000"}}}
    role = iam.create_role(RoleName="r", AssumeRolePolicyDocument=json.dumps(trust))["Role"]
    session = sts.assume_role(RoleArn=role["Arn"], RoleSessionName="session")["Credentials"]
    server.kill()
    server.start()
    for credentials, arn in [(key, "user/admin"), (session, "assumed-role/r/session")]:
        assert client_with(server, "sts", credentials).get_caller_identity()["Arn"].endswith(arn)

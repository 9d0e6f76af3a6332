"""Services that Hearth lacks, sent on to an upstream: moto, an independent emulator."""

import datetime
import http.client
import http.server
import json
import os
import socket
import ssl
import tempfile
import threading
from pathlib import Path

import pytest
from botocore.exceptions import ClientError
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from conftest import client_of as functions
from conftest import deployer, unique
from support import raw
from support.clients import service_of
from support.keys import allow, deny, made_with
from support.server import HEARTH, Server, wait_until
from support.sigv4 import Signed
from support.sources import OBEY, WAIT_S, arn_of, gone, left, mapped, records
from support.streams import Upstream

ACCOUNT = "000000000000"


@pytest.fixture(scope="module")
def moto():
    upstream = Upstream()
    yield upstream.url
    upstream.close()


@pytest.fixture(scope="module")
def server(moto):
    server = Server("--upstream", f"sqs={moto}", "--upstream", f"*={moto}")
    try:
        yield server.start()
        server.stop()
    finally:
        server.close()


def test_queues_by_the_upstream_and_addresses_lead_back(server):
    sqs = service_of(server, "sqs")
    name = unique("q")
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    assert url == f"{server.url}/{ACCOUNT}/{name}"
    sent = sqs.send_message(QueueUrl=url, MessageBody="hello ü & <b>")
    received = sqs.receive_message(QueueUrl=url)["Messages"][0]
    assert (received["MessageId"], received["Body"]) == (sent["MessageId"], "hello ü & <b>")
    sqs.delete_queue(QueueUrl=url)
    with pytest.raises(ClientError) as error:
        sqs.send_message(QueueUrl=url, MessageBody="x")
    assert error.value.response["Error"]["Code"] == "AWS.SimpleQueueService.NonExistentQueue"


def test_tables_and_large_bodies(server):
    table = service_of(server, "dynamodb")
    name = unique("t")
    table.create_table(TableName=name, KeySchema=[{"AttributeName": "k", "KeyType": "HASH"}], AttributeDefinitions=[{"AttributeName": "k", "AttributeType": "S"}], BillingMode="PAY_PER_REQUEST")
    large = {key: {"PutRequest": {"Item": {"k": {"S": key}, "v": {"S": "x" * 350_000}}}} for key in "abcdefgh"}
    table.batch_write_item(RequestItems={name: list(large.values())})
    items = table.scan(TableName=name)["Items"]
    assert sorted(item["k"]["S"] for item in items)[0] == "a" and all(len(item["v"]["S"]) == 350_000 for item in items)
    with pytest.raises(ClientError) as error:
        table.get_item(TableName="none", Key={"k": {"S": "a"}})
    assert error.value.response["Error"]["Code"] == "ResourceNotFoundException"


def test_services_of_other_protocols_go_to_the_common_one(server):
    assert service_of(server, "sns").create_topic(Name="t")["TopicArn"] == f"arn:aws:sns:us-east-1:{ACCOUNT}:t"
    assert service_of(server, "events").list_event_buses()["EventBuses"][0]["Name"] == "default"
    assert service_of(server, "apigateway").create_rest_api(name="a")["name"] == "a"
    # What Hearth has is answered here.
    assert service_of(server, "iam").list_roles()["Roles"] == []
    assert service_of(server, "lambda").list_functions()["Functions"] == []


def test_the_command_line(server, tmp_path):
    import json
    import subprocess

    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "AWS_ENDPOINT_URL": server.url, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1", "AWS_PAGER": ""}
    run = lambda *words: json.loads(subprocess.run([os.environ["AWS"], *words], env=environment, capture_output=True, check=True).stdout or "null")
    # For SQS, version 1 of the command line takes its endpoint from nowhere else.
    sqs = lambda *words: run("sqs", *words, "--endpoint-url", server.url)
    url = sqs("create-queue", "--queue-name", unique("cli"))["QueueUrl"]
    assert url in sqs("list-queues")["QueueUrls"]
    sqs("delete-queue", "--queue-url", url)
    assert "TableNames" in run("dynamodb", "list-tables")


class Recorder(http.server.BaseHTTPRequestHandler):
    """Keeps what came, and answers with the first half of what it announces."""

    seen = []

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.seen.append((self.path, dict(self.headers), body))
        self.send_response(200)
        self.send_header("Content-Type", "application/x-amz-json-1.0")
        self.send_header("x-amzn-RequestId", "of-the-upstream")
        self.send_header("Content-Length", "20")
        self.end_headers()
        self.wfile.write(b'{"half":')

    def log_message(self, *_):
        pass


@pytest.fixture
def recorder():
    Recorder.seen = []
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Recorder)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/base"
    server.shutdown()
    server.server_close()


def test_requests_are_signed_again_and_answers_never_look_whole_when_they_are_not(alone, recorder, monkeypatch):
    monkeypatch.setenv("HEARTH_UPSTREAM_ACCESS_KEY_ID", "AKIAUPSTREAM")
    monkeypatch.setenv("HEARTH_UPSTREAM_SECRET_ACCESS_KEY", "secret")
    server = alone("--upstream", f"kinesis={recorder}", "--region", "eu-west-1")
    headers = {"X-Amz-Target": "Kinesis_20131202.ListStreams", "Content-Type": "application/x-amz-json-1.1", "Authorization": "AWS4-HMAC-SHA256 Credential=test/x"}
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    connection.request("POST", "/", body="{}", headers=headers)
    answer = connection.getresponse()
    assert answer.headers["x-amzn-requestid"] == "of-the-upstream"
    with pytest.raises(http.client.IncompleteRead):
        answer.read()
    connection.close()
    ((path, headers, body),) = Recorder.seen
    assert (path, body) == ("/base/", b"{}")
    headers = {name.lower(): value for name, value in headers.items()}
    assert headers["x-amz-target"] == "Kinesis_20131202.ListStreams" and headers["host"] == server.url.removeprefix("http://")
    assert "Credential=AKIAUPSTREAM/" in headers["authorization"] and "/eu-west-1/kinesis/aws4_request" in headers["authorization"]
    assert "test" not in headers["authorization"]


@pytest.fixture(scope="module")
def certificate():
    """An authority's certificate, and one for localhost that it signed, with its key: for the server, which is not root."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        yield write_certificates(Path(folder))


def write_certificates(folder):
    now, day = datetime.datetime.now(datetime.timezone.utc), datetime.timedelta(days=1)

    def named(name):
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])

    def signed(name, key, extension, by):
        made = x509.CertificateBuilder(named("an authority of this test"), named(name), key.public_key(), x509.random_serial_number(), now - day, now + day)
        return made.add_extension(extension, critical=True).sign(by, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    authority, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    (folder / "authority.pem").write_bytes(signed("an authority of this test", authority, x509.BasicConstraints(ca=True, path_length=0), authority))
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "localhost.pem").write_bytes(signed("localhost", key, x509.SubjectAlternativeName([x509.DNSName("localhost")]), authority) + private)
    return folder


class Tables(Recorder):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.seen.append((self.path, dict(self.headers), body))
        answer = b'{"TableNames":["over-tls"]}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)


@pytest.fixture
def secured(certificate):
    Tables.seen = []
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Tables)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate / "localhost.pem")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"https://localhost:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def test_an_upstream_over_https_is_reached_where_its_certificate_is_trusted(alone, secured, certificate, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate / "authority.pem"))
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)
    server = alone("--upstream", f"dynamodb={secured}")
    dynamodb = service_of(server, "dynamodb")
    assert dynamodb.list_tables()["TableNames"] == ["over-tls"] and dynamodb.list_tables()["TableNames"] == ["over-tls"]
    assert len(Tables.seen) == 2
    # The name that the certificate is for is checked too.
    elsewhere = alone("--upstream", f"dynamodb={secured.replace('localhost', '127.0.0.1')}")
    with pytest.raises(ClientError, match="(?i)certificate"):
        service_of(elsewhere, "dynamodb").list_tables()
    assert len(Tables.seen) == 2


def test_an_upstream_whose_certificate_nobody_vouches_for_gets_nothing(alone, secured):
    server = alone("--upstream", f"dynamodb={secured}")
    with pytest.raises(ClientError, match="(?i)certificate") as error:
        service_of(server, "dynamodb").list_tables()
    assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 503
    assert Tables.seen == []


@pytest.mark.parametrize(
    "path, body, headers",
    [
        ("/", b"{}", {"x-amz-target": "AmazonSQS.DeleteQueue", "content-type": "application/x-amz-json-1.0"}),
        ("/", b"Version=2012-11-05&Action=DeleteQueue", {"content-type": "application/x-www-form-urlencoded"}),
        ("/1/q", b"Action=ListQueues&%41ction=DeleteQueue", {"content-type": "Application/X-WWW-Form-Urlencoded"}),
        ("/1/q?Action=DeleteQueue", b"", {}),
        ("/?Action=DeleteQueue", b"{}", {"x-amz-target": "AmazonSQS.ListQueues"}),
        ("/service/SQS/operation/DeleteQueue", b"", {"smithy-protocol": "rpc-v2-cbor"}),
    ],
)
def test_an_operation_is_denied_by_whatever_name(alone, recorder, tmp_path, path, body, headers):
    server = alone("--auth", "required", "--upstream", f"sqs={recorder}")
    key = made_with(server, tmp_path, "ann", allow("sqs:*"), deny("sqs:DeleteQueue"))
    request = Signed(server, key, "POST", path, body=body, service="sqs", headers=headers).sign()
    answer = raw.request(server, "POST", path, body=body, headers=list(request.headers.items()))
    assert answer.status == 403 and b"sqs:DeleteQueue" in answer.body and Recorder.seen == []

def test_an_upstream_that_is_not_there_is_named(alone):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        nobody = f"127.0.0.1:{closed.getsockname()[1]}"
        server = alone("--upstream", f"sqs=http://{nobody}")
        with pytest.raises(ClientError) as error:
            service_of(server, "sqs").list_queues()
        answer = error.value.response
        assert answer["ResponseMetadata"]["HTTPStatusCode"] == 503 and nobody in answer["Error"]["Message"]
        with pytest.raises(ClientError, match="Hearth does not have the service kinesis"):
            service_of(server, "kinesis").list_streams()


def test_what_is_no_upstream_is_refused(tmp_path):
    import subprocess

    for given, why in [("lambda=http://h", "answers lambda itself"), ("sqs", "looks like"), ("sqs=ftp://h", "https://HOST"), ("sqs=https://me:word@h", "no user name")]:
        done = subprocess.run([HEARTH, "serve", "--data-dir", tmp_path, "--upstream", given], capture_output=True, text=True, timeout=60)
        assert done.returncode == 2 and why in done.stderr, done.stderr


def test_a_mapping_polls_the_queue_at_the_upstream(server):
    sqs, client = service_of(server, "sqs"), functions(server)
    deploy, clean = deployer(client)
    function = deploy(OBEY, Timeout=15)
    dead = sqs.create_queue(QueueName=unique("dead"))["QueueUrl"]
    policy = json.dumps({"deadLetterTargetArn": arn_of(dead), "maxReceiveCount": 1})
    url = sqs.create_queue(QueueName=unique("q"), Attributes={"VisibilityTimeout": "15", "RedrivePolicy": policy})["QueueUrl"]
    uuid = mapped(function, arn_of(url), MaximumBatchingWindowInSeconds=1, FunctionResponseTypes=["ReportBatchItemFailures"])
    attributes = {"n": {"DataType": "Number", "StringValue": "1"}, "b": {"DataType": "Binary", "BinaryValue": b"\0\1"}}
    sqs.send_message(QueueUrl=url, MessageBody="plain", MessageAttributes=attributes)
    sqs.send_message(QueueUrl=url, MessageBody='{"report": 1}')
    found = records(server, function, 2)
    (plain,) = [record for record in found if record["body"] == "plain"]
    assert (plain["eventSource"], plain["eventSourceARN"], plain["attributes"]["ApproximateReceiveCount"]) == ("aws:sqs", arn_of(url), "1")
    assert plain["messageAttributes"]["b"]["binaryValue"] == "AAE=" and plain["messageAttributes"]["n"]["dataType"] == "Number"
    wait_until(lambda: left(sqs, url) == (0, 0) and left(sqs, dead)[0] == 1, WAIT_S, lambda: f"{left(sqs, url)}, {left(sqs, dead)}")
    client.delete_event_source_mapping(UUID=uuid)
    gone(client, uuid)
    with pytest.raises(ClientError) as error:
        client.create_event_source_mapping(FunctionName=function.name, EventSourceArn=f"arn:aws:sqs:us-east-1:{ACCOUNT}:none")
    assert "Error occurred while GetQueueAttributes. SQS Error Code: " in error.value.response["Error"]["Message"]
    clean()

"""Bad requests to the API, row by row: transport (T), JSON (J), functions (F). Each gets the service's own error, and
nothing changes. T04, T05, T08 to T11 are in test_doors.py, the signatures in test_auth.py."""

import base64
import io
import json
import re
import struct
import tarfile
import zipfile

import pytest

from conftest import unique
from support import raw
from support.bad import (
    ADE, BIG, FUNCTIONS, IPV, LAYERS, PCF, RCE, RNF, ROLE, RTL, SER, UNK, VAL, ZIP, CODE, Ask, broken, errors, judge,
)
from support.bad_world import FUNCTION, LAYER, PYTHON, unchanged, world  # noqa: F401 (fixtures)
from support.packages import zip_of

GOOD = {"FunctionName": "never", "Runtime": PYTHON, "Handler": "app.handler", "Role": ROLE, "Code": {"ZipFile": ZIP}}
VPC = {"SubnetIds": ["subnet-0"], "SecurityGroupIds": ["sg-0"]}
AT_LEAST, AT_MOST = "Member must have value greater than or equal to {}", "Member must have value less than or equal to {}"
LONGEST, SHORTEST = "Member must have length less than or equal to {}", "Member must have length greater than or equal to {}"
PATTERN = "Member must satisfy regular expression pattern: {}"
NULL = "Member must not be null"
CODE_LIMIT = 70_167_211
ROLES = r"arn:(aws[a-zA-Z-]*)?:iam::\d{12}:role/?[a-zA-Z_0-9+=,.@\-_/]+"


def without(member):
    return Ask("POST", FUNCTIONS, {key: value for key, value in GOOD.items() if key != member})


def create(**changes):
    return Ask("POST", FUNCTIONS, {**GOOD, **changes})


def config(**changes):
    return Ask("PUT", f"{FUNCTIONS}/{FUNCTION}/configuration", changes)


def code(**changes):
    return Ask("PUT", f"{FUNCTIONS}/{FUNCTION}/code", changes)


def get(path):
    return Ask("GET", path)


def text(body):
    return Ask("POST", FUNCTIONS, body if isinstance(body, bytes) else body.encode())


def changed(**changes):
    """The good request with members replaced by JSON that json.dumps would not write."""
    body = json.dumps(GOOD)
    for member, value in changes.items():
        body = f'{body[:-1]}, "{member}": {value}}}'
    return text(body)


def null(member):
    return errors(f"Value null at '{member}' failed to satisfy constraint: {NULL}")


def one(value, member, constraint):
    return errors(broken(value, member, constraint))


def zipped(data):
    return create(Code={"ZipFile": base64.b64encode(data).decode()})


def flags(data, bits):
    """A package whose entries have general purpose bits set."""
    data = bytearray(data)
    for mark, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        start = data.find(mark)
        data[start + at : start + at + 2] = struct.pack("<H", bits)
    return bytes(data)


def wrong_crc():
    data = bytearray(zip_of({"app.py": "x" * 1000}))
    for mark, at in ((b"PK\x03\x04", 14), (b"PK\x01\x02", 16)):
        start = data.find(mark)
        data[start + at : start + at + 4] = b"\0\1\2\3"
    return bytes(data)


def tar():
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("app.py"))
    return data.getvalue()


def no_entries():
    data = io.BytesIO()
    zipfile.ZipFile(data, "w").close()
    return data.getvalue()


def named(*names):
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for name in names:
            archive.writestr(name, "x")
    return data.getvalue()


UNZIP = "Could not unzip uploaded file. Please check your file, then try to upload again."
RUNTIME = re.compile(r"^Value \S+ at 'runtime' failed to satisfy constraint: Member must satisfy enum value set: \[nodejs20\.x, .*\] or be a valid ARN$")
MISSING = f"arn:aws:lambda:us-east-1:000000000000:layer:{LAYER}-missing:1"
VERSION = f"arn:aws:lambda:us-east-1:000000000000:layer:{LAYER}:1"
TOO_LONG = "a" * 65

TRANSPORT = [
    ("T01", get("/nothing/here"), UNK),
    ("T01", Ask("PATCH", FUNCTIONS), UNK),
    ("T01", Ask("DELETE", FUNCTIONS), UNK),
    ("T02", get("/2099-01-01/functions"), UNK),
    ("T02", get("/2015-03-30/functions"), UNK),
    *(("T03", get(f"{FUNCTIONS}/{path}"), VAL) for path in ("a%2Fb", "%2e%2e%2fa", "a%20b", "a%0Ab", "%C3%A4")),
    *(("T03", get(path), UNK) for path in (f"{FUNCTIONS}/../layers", f"{FUNCTIONS}/a%00b", f"{FUNCTIONS}/%ff", f"{FUNCTIONS}//x/configuration")),
    ("T06", Ask("POST", FUNCTIONS, headers=[("content-length", str(CODE_LIMIT + 1))]), BIG, f"Request must be smaller than {CODE_LIMIT} bytes for the CreateFunction operation"),
    ("T06", Ask("POST", f"{FUNCTIONS}/{FUNCTION}/invocations", headers=[("content-length", str(6 * 1024 * 1024 + 1))]), RTL),
    ("T12", Ask("POST", FUNCTIONS, json.dumps(GOOD).encode(), [("content-encoding", "gzip")]), ("UnsupportedMediaTypeException", 415)),
]

JSON = [
    *(("J01", text(body), SER) for body in (b"{", b"no", b"[]", b'"x"', b"5", b'{"FunctionName":"v"', b'{"FunctionName":"v"}x', b"\xef\xbb\xbf{}", b"{'a':1}")),
    *(("J02", create(**change), SER) for change in ({"MemorySize": "abc"}, {"Layers": "x"}, {"Environment": []}, {"FunctionName": 5}, {"FunctionName": {}}, {"Publish": "yes"}, {"Code": []}, {"Environment": {"Variables": {"KEY": 1}}}, {"Tags": ["a"]})),
    *(("J03", changed(MemorySize=number), SER) for number in ("1e400", "0128", "9223372036854775808")),
    ("J03", changed(Timeout="-0"), VAL, one("0", "timeout", AT_LEAST.format(1))),
    ("J04", text(b"[" * 100_000), SER),
    ("J04", text(b'{"a":' * 100_000), SER),
    *(("J07", without(member), VAL, null(member[0].lower() + member[1:])) for member in ("FunctionName", "Role", "Code")),
    *(("J07", create(**{member: None}), VAL, null(member[0].lower() + member[1:])) for member in ("FunctionName", "Role", "Code")),
    *(("J08", changed(Description=value), SER) for value in ('"\\ud800"', '"\\udc00x"')),
    ("J08", text(b'{"FunctionName":"\xc0\x80"}'), SER),
    ("J09", create(PackageType="zip"), VAL, re.compile(r"Value 'zip' at 'packageType' failed to satisfy constraint: Member must satisfy enum value set: \[")),
    ("J09", create(Architectures=["X86_64"]), VAL, re.compile(r"Value '\[X86_64\]' at 'architectures' failed to satisfy constraint: Member must satisfy constraint: \[Member must satisfy enum value set: \[")),
    ("J09", create(TracingConfig={"Mode": "active"}), VAL, re.compile(r"'tracingConfig\.mode' failed to satisfy constraint: Member must satisfy enum value set: \[")),
    ("J09", Ask("POST", f"{FUNCTIONS}/{FUNCTION}/invocations", b"{}", [("x-amz-invocation-type", "event")]), VAL, re.compile("'invocationType' failed")),
    ("J09", Ask("POST", f"{FUNCTIONS}/{FUNCTION}/invocations", b"{}", [("x-amz-log-type", "all")]), VAL, re.compile("'logType' failed")),
    ("J09", Ask("POST", f"/2021-10-31/functions/{FUNCTION}/url?Qualifier=live", {"AuthType": "none"}), VAL, re.compile("'authType' failed")),
    ("J09", Ask("PUT", f"/2021-10-31/functions/{FUNCTION}/url", {"InvokeMode": "buffered"}), VAL, re.compile("'invokeMode' failed")),
    ("J10", create(Role="me", MemorySize=1, Timeout=0), VAL, errors(broken("me", "role", PATTERN.format(ROLES)), broken(0, "timeout", AT_LEAST.format(1)), broken(1, "memorySize", AT_LEAST.format(128)))),
    *(("J11", get(f"{FUNCTIONS}?MaxItems={number}"), VAL) for number in ("0", "-1", "10001")),
    ("J11", get(f"{FUNCTIONS}?MaxItems=x"), VAL),
    *(("J11", get(f"{path}?MaxItems=51"), VAL, one("51", "maxItems", AT_MOST.format(50))) for path in (LAYERS, f"{LAYERS}/{LAYER}/versions", f"/2021-10-31/functions/{FUNCTION}/urls", f"/2019-09-25/functions/{FUNCTION}/event-invoke-config/list")),
    *(("J11", get(f"{path}?Marker=nonsense"), IPV) for path in (FUNCTIONS, f"{FUNCTIONS}/{FUNCTION}/versions", f"{FUNCTIONS}/{FUNCTION}/aliases", LAYERS, f"{LAYERS}/{LAYER}/versions", "/2015-03-31/event-source-mappings", f"/2021-10-31/functions/{FUNCTION}/urls", f"/2019-09-25/functions/{FUNCTION}/event-invoke-config/list")),
    *(("J12", create(Code={"ZipFile": value}), SER) for value in ("%%%", "abc", "a b=", "====")),
]

NAME = r"(arn:(aws[a-zA-Z-]*)?:lambda:)?((eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:)?(\d{12}:)?(function:)?([a-zA-Z0-9-_]+)(:(\$LATEST|[a-zA-Z0-9-_]+))?"
ELSEWHERE = "arn:aws:lambda:eu-west-1:000000000000:function:f"
KEYS = f"Map keys must satisfy constraint: [{LONGEST.format(128)}, {SHORTEST.format(1)}]"
VALUES = f"Map value must satisfy constraint: [{LONGEST.format(256)}, {SHORTEST.format(0)}]"
FUNCTION_ROWS = [
    *(("F01", create(FunctionName=name), VAL, one(name, "functionName", PATTERN.format(NAME))) for name in ("a b", "a/b", "\U0001f600", "a:b:c:d", "a.b", "f:$LATES")),
    ("F01", create(FunctionName=""), VAL, re.compile("'functionName' failed to satisfy constraint: Member must have length greater than or equal to 1")),
    ("F01", create(FunctionName="a" * 141), VAL, one("a" * 141, "functionName", LONGEST.format(140))),
    ("F01", create(FunctionName=TOO_LONG), IPV, one(TOO_LONG, "functionName", LONGEST.format(64))),
    *(("F01", Ask(method, f"{FUNCTIONS}/{TOO_LONG}{more}", body), RNF) for method, more, body in (("GET", "", b""), ("DELETE", "", b""), ("POST", "/invocations", b"{}"), ("PUT", "/code", {"ZipFile": ZIP}))),
    *(("F02", Ask(method, f"{FUNCTIONS}/{ELSEWHERE.replace(':', '%3A')}{more}", body), RNF, "Functions from 'eu-west-1' are not reachable in this region ('us-east-1')") for method, more, body in (("GET", "", b""), ("DELETE", "", b""), ("POST", "/invocations", b"{}"), ("PUT", "/configuration", {}))),
    ("F01", get(f"{FUNCTIONS}/f?Qualifier={'q' * 129}"), VAL, one("q" * 129, "qualifier", LONGEST.format(128))),
    ("F01", get(f"{FUNCTIONS}/f?Qualifier=a%20b"), VAL, one("a b", "qualifier", PATTERN.format(r"\$(LATEST(\.PUBLISHED)?)|[a-zA-Z0-9-_$]+"))),
    ("F02", create(FunctionName=ELSEWHERE), RNF, "Functions from 'eu-west-1' are not reachable in this region ('us-east-1')"),
    *(("F02", create(FunctionName=arn), VAL, one(arn, "functionName", PATTERN.format(NAME))) for arn in ("arn:aws:s3:us-east-1:000000000000:function:f", "arn:aws:lambda:000000000000:function:f:g:h", "arn:aws:lambda:us-east-1:1:function:f")),
    *(("F02", create(FunctionName=name), IPV) for name in ("f:x", "arn:aws:lambda:us-east-1:000000000000:function:f:x")),
    ("F03", create(FunctionName=FUNCTION), RCE, f"Function already exist: {FUNCTION}"),
    *(("F04", ask(Runtime=runtime), IPV, RUNTIME) for ask in (create, config) for runtime in ("python9.9", "PYTHON3.12", "cobol")),
    *(("F05", ask(Runtime=runtime), IPV, f"The runtime parameter of {runtime} is no longer supported for creating or updating AWS Lambda functions. We recommend you use a supported runtime while creating or updating functions.") for ask in (create, config) for runtime in ("nodejs12.x", "python2.7", "java8", "go1.x", "provided")),
    ("F06", without("Runtime"), IPV),
    ("F06", without("Handler"), IPV),
    ("F06", create(PackageType="Image", Code={"ImageUri": "000000000000.dkr.ecr.us-east-1.amazonaws.com/i:1"}), IPV),
    ("F06", create(PackageType="Image"), IPV),
    *(("F07", ask(Handler=handler), VAL) for ask in (create, config) for handler in ("a b", "x" * 129, "")),
    *(("F08", ask(MemorySize=size), VAL, one(size, "memorySize", limit)) for ask in (create, config) for size, limit in ((127, AT_LEAST.format(128)), (0, AT_LEAST.format(128)), (-1, AT_LEAST.format(128)), (32769, AT_MOST.format(32768)))),
    *(("F08", ask(MemorySize=10241), IPV, "'MemorySize' value failed to satisfy constraint: Member must have value less than or equal to 10240") for ask in (create, config)),
    *(("F09", ask(Timeout=seconds), VAL, one(seconds, "timeout", limit)) for ask in (create, config) for seconds, limit in ((0, AT_LEAST.format(1)), (-1, AT_LEAST.format(1)), (901, AT_MOST.format(900)))),
    *(("F10", ask(EphemeralStorage={"Size": size}), VAL, one(size, "ephemeralStorage.size", limit)) for ask in (create, config) for size, limit in ((511, AT_LEAST.format(512)), (10241, AT_MOST.format(10240)))),
    *(("F10", ask(EphemeralStorage={}), VAL, null("ephemeralStorage.size")) for ask in (create, config)),
    *(("F11", ask(Role=role), VAL, re.compile("'role' failed to satisfy constraint: Member must satisfy regular expression pattern: arn:")) for ask in (create, config) for role in ("r", "arn:aws:iam::12:role/r", "arn:aws:iam::000000000000:user/r", "")),
    *(("F12", ask(Environment={"Variables": {"A_KEY": "x" * 4096}}), IPV, re.compile(r'exceeded the 4KB limit\. String measured: \{"A_KEY":"x+"\}$')) for ask in (create, config)),
    *(("F13", ask(Environment={"Variables": {key: "x"}}), IPV, re.compile(f"Reserved keys used in this request: {key}$")) for ask in (create, config) for key in ("AWS_REGION", "AWS_LAMBDA_RUNTIME_API", "LAMBDA_TASK_ROOT", "AWS_SESSION_TOKEN", "AWS_ACCESS_KEY_ID")),
    ("F13", create(Environment={"Variables": {"_HANDLER": "x"}}), VAL),
    *(("F14", ask(Environment={"Variables": {key: "x"}}), VAL, re.compile(r"at 'environment\.variables' failed to satisfy constraint: Map keys must satisfy constraint: \[Member must satisfy regular expression pattern: \[a-zA-Z\]\(\[a-zA-Z0-9_\]\)\+\]$")) for ask in (create, config) for key in ("1A", "A-B", "A=B", "A", "")),
    *(("F15", ask(Description="d" * 257), VAL, one("d" * 257, "description", LONGEST.format(256))) for ask in (create, config)),
    ("F16", create(Code={"ZipFile": ZIP, "S3Bucket": "bucket", "S3Key": "key"}), IPV, "Please do not provide other FunctionCode parameters when providing a ZipFile."),
    ("F16", create(Code={"ZipFile": ZIP, "ImageUri": "image"}), IPV),
    ("F16", create(Code={}), IPV, "Please provide a source for function code."),
    ("F16", code(), IPV, "Please provide a source for function code."),
    ("F16", create(Code={"S3Bucket": "bucket"}), IPV),
    *(("F17", zipped(data), IPV, UNZIP) for data in (b"", b"random bytes" * 100, zip_of({"app.py": CODE})[:-30], wrong_crc(), tar())),
    ("F17", zipped(flags(zip_of({"app.py": "x"}), 1)), IPV),
    ("F17", code(ZipFile=base64.b64encode(b"nothing").decode()), IPV, UNZIP),
    ("F18", zipped(no_entries()), IPV, "Uploaded file must be a non-empty zip"),
    *(("F19", zipped(named(*names)), IPV) for names in (("../x",), ("/etc/x",), ("a/../../x",), ("a", "a/b"))),
    ("F25", create(Architectures=[]), VAL, one("[]", "architectures", "Member must have length greater than or equal to 1")),
    ("F25", create(Architectures=["x86_64", "arm64"]), VAL, one("[x86_64, arm64]", "architectures", LONGEST.format(1))),
    *(("F26", ask(Layers=[f"{MISSING[:-1]}{n}" for n in range(1, 7)]), IPV, "Cannot reference more than 5 layers.") for ask in (create, config)),
    *(("F26", ask(Layers=[VERSION[:-2]]), VAL, re.compile(r"at 'layers' failed to satisfy constraint: Member must satisfy constraint: \[")) for ask in (create, config)),
    *(("F26", ask(Layers=[MISSING]), IPV, f"Layer version {MISSING} does not exist.") for ask in (create, config)),
    ("F28", create(VpcConfig={"SubnetIds": ["subnet-0"]}), IPV),
    *(("F28", ask(VpcConfig={**VPC, "SubnetIds": ["wrong"]}), VAL, re.compile(r"Value '\[wrong\]' at 'vpcConfig\.subnetIds' failed to satisfy constraint: Member must satisfy constraint: \[")) for ask in (create, config)),
    *(("F28", ask(VpcConfig={**VPC, "SubnetIds": [f"subnet-{n}" for n in range(17)]}), VAL, re.compile(LONGEST.format(16))) for ask in (create, config)),
    *(("F29", ask(DeadLetterConfig={"TargetArn": "queue"}), VAL, re.compile(r"'deadLetterConfig\.targetArn' failed")) for ask in (create, config)),
    *(("F29", ask(DeadLetterConfig={"TargetArn": "arn:aws:s3:us-east-1:000000000000:bucket"}), IPV) for ask in (create, config)),
    *(("F30", ask(KMSKeyArn="key"), VAL, re.compile("'kMSKeyArn' failed")) for ask in (create, config)),
    ("F31", create(Tags={f"k{n}": "v" for n in range(51)}), IPV, "Number of tags exceeds resource tag limit."),
    ("F31", create(Tags={"k" * 129: "v"}), VAL, one(f"{{{'k' * 129}=v}}", "tags", KEYS)),
    ("F31", create(Tags={"": "v"}), VAL, one("{=v}", "tags", KEYS)),
    ("F31", create(Tags={"k": "v" * 257}), VAL, one(f"{{k={'v' * 257}}}", "tags", VALUES)),
    *(("F31", create(Tags={key: "v"}), IPV, "aws: prefixed tag key names are not allowed for external use.") for key in ("aws:x", "AWS:x")),
    ("F32", create(FileSystemConfigs=[{"Arn": "x", "LocalMountPath": "/mnt/a"}]), VAL),
    ("F32", config(FileSystemConfigs=[{"Arn": "arn:aws:elasticfilesystem:us-east-1:000000000000:access-point/fsap-00000000000000000", "LocalMountPath": "/srv"}]), VAL, re.compile("localMountPath' failed")),
    *(("F33", ask(SnapStart={"ApplyOn": "all"}), VAL, one("all", "snapStart.applyOn", "Member must satisfy enum value set: [PublishedVersions, None]")) for ask in (create, config)),
    ("F34", config(RevisionId="00000000-0000-0000-0000-000000000000"), PCF),
    ("F34", code(RevisionId="00000000-0000-0000-0000-000000000000", ZipFile=ZIP), PCF),
    ("F34", Ask("PUT", f"{FUNCTIONS}/{FUNCTION}/aliases/live", {"RevisionId": "x"}), PCF),
    ("F34", Ask("POST", f"{FUNCTIONS}/{FUNCTION}/versions", {"RevisionId": "x"}), PCF),
    ("F34", Ask("POST", f"{FUNCTIONS}/{FUNCTION}/policy", {"StatementId": "s2", "Action": "lambda:*", "Principal": "*", "RevisionId": "x"}), PCF),
    ("F34", Ask("DELETE", f"{FUNCTIONS}/{FUNCTION}/policy/s1?RevisionId=x"), PCF),
    *(("F36", Ask(method, f"{FUNCTIONS}/missing{more}", body), RNF, "Function not found: arn:aws:lambda:us-east-1:000000000000:function:missing") for method, more, body in (("GET", "", b""), ("DELETE", "", b""), ("GET", "/configuration", b""), ("PUT", "/configuration", {}), ("PUT", "/code", {"ZipFile": ZIP}))),
    ("F37", code(DryRun=True, ZipFile=base64.b64encode(b"nothing").decode()), IPV, UNZIP),
    ("F38", Ask("POST", f"{FUNCTIONS}/{FUNCTION}/versions", {"CodeSha256": "x"}), IPV, re.compile(r"^CodeSHA256 \(x\) is different from current CodeSHA256 in \$LATEST \(\S+\)\. Please try again with the CodeSHA256 in \$LATEST\.$")),
    *(("F39", Ask("DELETE", f"{FUNCTIONS}/{name}?Qualifier=$LATEST"), IPV, "$LATEST version cannot be deleted without deleting the function.") for name in (FUNCTION, "missing")),
    ("F39", Ask("DELETE", f"{FUNCTIONS}/{FUNCTION}?Qualifier=live"), IPV, "Deletion of aliases is not currently supported."),
    ("F39", Ask("DELETE", f"{FUNCTIONS}/{FUNCTION}?Qualifier=1"), RCE),
    ("F42", code(ImageUri="000000000000.dkr.ecr.us-east-1.amazonaws.com/i:1"), IPV),
    *(("F43", ask(LoggingConfig={"LogFormat": "Text", "ApplicationLogLevel": "DEBUG"}), IPV) for ask in (create, config)),
    *(("F43", ask(LoggingConfig={"LogFormat": "text"}), VAL, re.compile("'loggingConfig.logFormat' failed")) for ask in (create, config)),
    *(("F43", ask(LoggingConfig={"LogGroup": "a b"}), VAL, re.compile("'loggingConfig.logGroup' failed")) for ask in (create, config)),
]


def ids(cases):
    return [case[0] for case in cases]


CASES = TRANSPORT + JSON + FUNCTION_ROWS


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("case", CASES, ids=ids(CASES))
def test_refused(server, case):
    _, ask, error, *words = case
    judge(ask.of(server), error, *words)


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("path, error", [(FUNCTIONS, BIG), (f"{FUNCTIONS}/{FUNCTION}/invocations", RTL)], ids=["T07-create", "T07-invoke"])
def test_a_body_without_a_length_is_read_to_its_limit(server, path, error):
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    chunk = b"100000\r\n" + b" " * 0x100000 + b"\r\n"
    with raw.connect(server) as sock:
        sock.sendall(head)
        try:
            for _ in range(100):
                sock.sendall(chunk)
        except OSError:
            pass  # refused before all was read
        judge(raw.read_answer(sock), error)


@pytest.mark.usefixtures("unchanged")
def test_j11_a_marker_belongs_to_its_list(server):
    marker = get(f"{FUNCTIONS}/{FUNCTION}/versions?MaxItems=1").of(server).json["NextMarker"]
    for path in (FUNCTIONS, f"{FUNCTIONS}/{FUNCTION}/aliases", LAYERS, "/2015-03-31/event-source-mappings"):
        judge(get(f"{path}?Marker={marker}").of(server), IPV)


def test_j05_of_duplicate_keys_the_last_wins(server, client, world):
    body = json.dumps(GOOD).replace('"Runtime"', '"Description": "first", "Description": "last", "Runtime"')
    name = unique()
    answer = raw.request(server, "POST", FUNCTIONS, body.replace('"never"', f'"{name}"').encode())
    assert answer.status == 201 and answer.json["Description"] == "last", answer
    client.delete_function(FunctionName=name)


def test_j06_unknown_members_are_ignored(server, client):
    name = unique()
    answer = raw.request(server, "POST", FUNCTIONS, {**GOOD, "FunctionName": name, "Colour": {"a": [1]}})
    assert answer.status == 201, answer
    client.delete_function(FunctionName=name)


@pytest.mark.usefixtures("unchanged")
def test_f37_a_dry_run_that_would_do_changes_nothing(server):
    answer = Ask("PUT", f"{FUNCTIONS}/{FUNCTION}/code", {"DryRun": True, "ZipFile": base64.b64encode(zip_of({"app.py": "x = 1\n"})).decode()}).of(server)
    assert answer.status == 200 and answer.json["Version"] == "$LATEST", answer


def test_f02_an_arn_of_another_account_is_denied_without_a_word(server, unchanged):
    answer = create(FunctionName="arn:aws:lambda:us-east-1:111111111111:function:f").of(server)
    assert (answer.status, answer.error) == (ADE[1], ADE[0]) and answer.message is None, answer

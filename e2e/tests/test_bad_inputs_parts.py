"""Bad requests to the API, row by row: what hangs on a function (A) and invokes (I). Each gets the service's own error,
and nothing changes. I10 is in test_concurrency.py, I18 and I20 in test_failures.py and test_invoke.py."""

import re

import pytest

from support import raw
from support.bad import ACCOUNT, FUNCTIONS, IPV, IRC, LAYERS, MAPPINGS, RCE, REGION, RNF, ROLE, RTL, SIGNING, VAL, ZIP, Ask, broken, errors, judge
from support.bad_world import FUNCTION, LAYER, QUEUE, STREAM, TABLE, unchanged, world  # noqa: F401 (fixtures)

ARN = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{FUNCTION}"
MISSING = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:missing"
LAYER_ARN = f"arn:aws:lambda:{REGION}:{ACCOUNT}:layer:{LAYER}"
NOT_THERE = "The resource you requested does not exist."
INVOKE = f"{FUNCTIONS}/{FUNCTION}/invocations"
URL = f"/2021-10-31/functions/{FUNCTION}/url"
PROVISIONED = f"/2019-09-30/functions/{FUNCTION}/provisioned-concurrency"
RUNTIME = f"/2021-07-20/functions/{FUNCTION}/runtime-management-config"
EVENTS = f"/2019-09-25/functions/{FUNCTION}/event-invoke-config"
AT_LEAST, AT_MOST = "Member must have value greater than or equal to {}", "Member must have value less than or equal to {}"
LONGEST, SHORTEST = "Member must have length less than or equal to {}", "Member must have length greater than or equal to {}"
PATTERN = "Member must satisfy regular expression pattern: {}"
ONE_OF = "Member must satisfy enum value set: [{}]"
MISMATCH = "The derived qualifier from the function name does not match the specified qualifier."


def get(path):
    return Ask("GET", path)


def post(path, **body):
    return Ask("POST", path, body)


def put(path, **body):
    return Ask("PUT", path, body)


def delete(path):
    return Ask("DELETE", path)


def one(value, member, constraint):
    return errors(broken(value, member, constraint))


def null(member):
    return errors(f"Value null at '{member}' failed to satisfy constraint: Member must not be null")


def alias(**members):
    return post(f"{FUNCTIONS}/{FUNCTION}/aliases", **{"Name": "never", "FunctionVersion": "1", **members})


def weights(weights, version="1"):
    return alias(FunctionVersion=version, RoutingConfig={"AdditionalVersionWeights": weights})


def permission(**members):
    return post(f"{FUNCTIONS}/{FUNCTION}/policy", **{"StatementId": "never", "Action": "lambda:InvokeFunction", "Principal": "*", **members})


def layer(**members):
    return post(f"{LAYERS}/{LAYER}/versions", **{"Content": {"ZipFile": ZIP}, **members})


def mapping(source=QUEUE.replace("bad", "other"), **members):
    return post(MAPPINGS, **{"FunctionName": FUNCTION, "EventSourceArn": source, **members})


def stream(source=STREAM, **members):
    return mapping(source, **{"StartingPosition": "LATEST", **members})


def provision(qualifier, executions):
    return put(f"{PROVISIONED}?Qualifier={qualifier}", ProvisionedConcurrentExecutions=executions)


def tag(arn, **tags):
    return post(f"/2017-03-31/tags/{arn.replace(':', '%3A')}", Tags=tags)


def invoke(path=INVOKE, body=b"{}", **headers):
    return Ask("POST", path, body, [(name.replace("_", "-"), value) for name, value in headers.items()])


ALIAS_PATTERN = "(?!^[0-9]+$)([a-zA-Z0-9-_]+)"
WEIGHT = f"Map value must satisfy constraint: [{AT_MOST.format('1.0')}, {AT_LEAST.format('0.0')}, Member must not be null]"
PARTS = [
    *(("A01", alias(Name=name), VAL, one(name, "name", PATTERN.format(ALIAS_PATTERN))) for name in ("2024", "$LATEST", "a b", "a.b")),
    ("A01", alias(Name="a" * 129), VAL, one("a" * 129, "name", LONGEST.format(128))),
    ("A01", alias(Name=""), VAL, re.compile(f"'name' failed to satisfy constraint: {SHORTEST.format(1)}")),
    ("A02", alias(Name="live"), RCE, f"Alias already exists: {ARN}:live"),
    ("A03", alias(FunctionVersion="77"), RNF, f"Function not found: {ARN}:77"),
    ("A03", put(f"{FUNCTIONS}/{FUNCTION}/aliases/live", FunctionVersion="77"), RNF, f"Function not found: {ARN}:77"),
    ("A03", post(f"{FUNCTIONS}/missing/aliases", Name="a", FunctionVersion="1"), RNF, f"Function not found: {MISSING}:1"),
    ("A04", weights({"2": -0.1}), VAL, one("{2=-0.1}", "routingConfig.additionalVersionWeights", WEIGHT)),
    ("A04", weights({"2": 1.1}), VAL, one("{2=1.1}", "routingConfig.additionalVersionWeights", WEIGHT)),
    ("A04", weights({"$LATEST": 0.5}), VAL, re.compile(r"Value '\{\$LATEST=0\.5\}' at 'routingConfig\.additionalVersionWeights' failed to satisfy constraint: Map keys must")),
    ("A04", weights({"2": 0.1, "3": 0.1}), IPV, "Number of items in AdditionalVersionWeights cannot be greater than 1"),
    ("A04", weights({"1": 0.1}), IPV, "Invalid function version 1. Function version 1 is already included in routing configuration."),
    ("A04", weights({"1": 0.1}, "$LATEST"), IPV, "$LATEST is not supported for an alias pointing to more than 1 version"),
    ("A04", weights({"77": 0.1}), RNF, f"Function not found: {ARN}:77"),
    ("A05", put(f"/2017-10-31/functions/{FUNCTION}/concurrency", ReservedConcurrentExecutions=-1), VAL, one("-1", "reservedConcurrentExecutions", AT_LEAST.format(0))),
    ("A05", put(f"/2017-10-31/functions/{FUNCTION}/concurrency"), VAL, null("reservedConcurrentExecutions")),
    ("A05", put(f"/2017-10-31/functions/{FUNCTION}/concurrency", ReservedConcurrentExecutions=100_000), IPV, re.compile(r"^Specified ReservedConcurrentExecutions for function decreases account's UnreservedConcurrentExecution below its minimum value of \[\d+\]\.$")),
    ("A05", put(f"/2017-10-31/functions/{FUNCTION}%3Alive/concurrency", ReservedConcurrentExecutions=1), IPV, "This operation is permitted on Lambda functions only. Aliases and versions do not support this operation. Please specify either a function name or an unqualified function ARN."),
    ("A05", put("/2017-10-31/functions/missing/concurrency", ReservedConcurrentExecutions=100_000), RNF, f"Function not found: {MISSING}:$LATEST"),
    ("A06", provision("1", 0), VAL, one("0", "provisionedConcurrentExecutions", AT_LEAST.format(1))),
    ("A06", provision("$LATEST", 1), IPV, "Provisioned Concurrency Configs cannot be applied to unpublished function versions."),
    ("A06", provision("77", 1), RNF, f"Function not found: {ARN}:77"),
    ("A06", provision("nope", 1), RNF, f"Cannot find alias arn: {ARN}:nope"),
    ("A06", provision("1", 100_000), IPV, re.compile(r"^Specified ConcurrentExecutions for function is greater than account's unreserved concurrency \[\d+\]\.$")),
    ("A06", put(PROVISIONED, ProvisionedConcurrentExecutions=1), VAL, null("qualifier")),
    *(("A07", get(f"{PROVISIONED}?Qualifier={qualifier}"), ("ProvisionedConcurrencyConfigNotFoundException", 404), "No Provisioned Concurrency Config found for this function") for qualifier in ("1", "live")),
    ("A07", get(f"{PROVISIONED}?Qualifier=nope"), RNF, f"Cannot find alias arn: {ARN}:nope"),
    ("A07", get(f"{PROVISIONED}?Qualifier=$LATEST"), IPV, "The function resource provided must be an alias or a published version."),
    ("A08", permission(StatementId="s1"), RCE, "The statement id (s1) provided already exists. Please provide a new statement id, or remove the existing statement."),
    *(("A09", permission(StatementId=sid), VAL, one(sid, "statementId", PATTERN.format("([a-zA-Z0-9-_]+)"))) for sid in ("a b", "example.com", "ä")),
    ("A09", permission(Action="s3:*"), VAL, one("s3:*", "action", PATTERN.format("(lambda:[*]|lambda:[a-zA-Z]+|[*])"))),
    ("A09", permission(Principal=""), VAL, re.compile("'principal' failed to satisfy constraint: ")),
    ("A09", permission(Principal="not valid"), VAL, re.compile("'principal' failed to satisfy constraint: ")),
    *(("A09", permission(Principal=principal), IPV, "The provided principal was invalid. Please check the principal and try again.") for principal in ("invalid", "1234", "arn:aws:iam::1:root")),
    *(("A09", permission(SourceAccount=account), VAL, re.compile("'sourceAccount' failed to satisfy constraint: ")) for account in ("123", "12345678901a", "1234567890123")),
    ("A09", permission(SourceArn="arn"), VAL, re.compile("'sourceArn' failed to satisfy constraint: ")),
    ("A09", Ask("POST", f"{FUNCTIONS}/{FUNCTION}/policy?Qualifier=$LATEST", {"StatementId": "a", "Action": "lambda:*", "Principal": "*"}), IPV, "We currently do not support adding policies for $LATEST."),
    ("A11", delete(f"{FUNCTIONS}/{FUNCTION}/policy/other"), RNF, "Statement other is not found in resource policy."),
    ("A11", delete(f"{FUNCTIONS}/{FUNCTION}/policy/s1?Qualifier=1"), RNF, "No policy is associated with the given resource."),
    ("A11", delete(f"{FUNCTIONS}/{FUNCTION}/policy/s1?Qualifier=nope"), RNF, f"Cannot find alias arn: {ARN}:nope"),
    ("A11", delete(f"{FUNCTIONS}/missing/policy/s1"), RNF, f"No policy found for: {MISSING}"),
    *(("A11", get(f"{FUNCTIONS}/{name}/policy{query}"), RNF, NOT_THERE) for name, query in ((FUNCTION, "?Qualifier=1"), (FUNCTION, "?Qualifier=live"), ("missing", ""))),
    ("A12", post(f"{URL}?Qualifier=live", AuthType="PUBLIC"), VAL, one("PUBLIC", "authType", ONE_OF.format("NONE, AWS_IAM"))),
    ("A12", post(f"{URL}?Qualifier=live"), VAL, null("authType")),
    ("A12", post(URL, AuthType="NONE"), RCE, f"Failed to create function url config for [functionArn = {ARN}]. Error message:  FunctionUrlConfig exists for this Lambda function"),
    *(("A12", Ask(method, f"{URL}?Qualifier={qualifier}", body), VAL, one(qualifier, "qualifier", PATTERN.format(r"((?!^\d+$)^[0-9a-zA-Z-_]+$)"))) for method, body in (("POST", {"AuthType": "NONE"}), ("GET", b""), ("PUT", {}), ("DELETE", b"")) for qualifier in ("1", "$LATEST")),
    *(("A12", Ask(method, f"{URL}?Qualifier=live"), RNF, NOT_THERE) for method in ("GET", "DELETE")),
    ("A12", put(f"{URL}?Qualifier=live"), RNF, NOT_THERE),
    *(("A12", Ask(method, "/2021-10-31/functions/missing/url", body), RNF, "Function does not exist") for method, body in (("POST", {"AuthType": "NONE"}), ("PUT", {}))),
    ("A12", put(URL, Cors={"AllowOrigins": ["https://example.com"] * 101}), VAL, re.compile(f"'cors.allowOrigins' failed to satisfy constraint: {LONGEST.format(100)}")),
    ("A12", put(URL, Cors={"MaxAge": 86_401}), VAL, one("86401", "cors.maxAge", AT_MOST.format(86_400))),
    ("A14", get(f"{LAYERS}/{LAYER}/versions/0"), IPV, "Layer Version Cannot be less than 1"),
    ("A14", get(f"{LAYERS}/{LAYER}/versions/77"), RNF, NOT_THERE),
    ("A14", get(f"{LAYERS}/missing/versions/1"), RNF, NOT_THERE),
    ("A14", get(f"{LAYERS}?find=LayerVersion&Arn={LAYER_ARN}"), VAL, re.compile("'arn' failed to satisfy constraint: ")),
    ("A14", get(f"{LAYERS}?find=LayerVersion&Arn={LAYER_ARN}:77"), RNF, NOT_THERE),
    ("A14", layer(LicenseInfo="x" * 513), VAL, one("x" * 513, "licenseInfo", LONGEST.format(512))),
    ("A14", layer(CompatibleRuntimes=["python3.12"] * 16), VAL, re.compile(f"'compatibleRuntimes' failed to satisfy constraint: {LONGEST.format(15)}")),
    ("A14", layer(CompatibleRuntimes=["cobol"]), VAL, re.compile(r"Value '\[cobol\]' at 'compatibleRuntimes' failed to satisfy constraint: Member must satisfy constraint: \[Member must satisfy enum value set: ")),
    ("A14", layer(CompatibleArchitectures=["x86_64"] * 3), VAL, re.compile(f"'compatibleArchitectures' failed to satisfy constraint: {LONGEST.format(2)}")),
    ("A14", post(f"{LAYERS}/a%20b/versions", Content={"ZipFile": ZIP}), VAL, re.compile("Value 'a b' at 'layerName' failed to satisfy constraint: ")),
    ("A14", layer(Content={}), IPV),
    ("A14", post(f"{LAYERS}/{LAYER}/versions"), VAL, null("content")),
    *(("A14", Ask(method, f"{LAYERS}/{LAYER}/versions/77/policy{more}", body), RNF, f"Layer version {LAYER_ARN}:77 does not exist.") for method, more, body in (("GET", "", b""), ("DELETE", "/s", b""), ("POST", "", {"StatementId": "s", "Action": "lambda:GetLayerVersion", "Principal": "*"}))),
    ("A14", post(f"{LAYERS}/{LAYER}/versions/1/policy", StatementId="s", Action="*", Principal="*"), VAL, one("*", "action", PATTERN.format("lambda:GetLayerVersion"))),
    *(("A15", put(EVENTS, MaximumRetryAttempts=n), VAL, one(n, "maximumRetryAttempts", limit)) for n, limit in ((-1, AT_LEAST.format(0)), (3, AT_MOST.format(2)))),
    *(("A15", put(EVENTS, MaximumEventAgeInSeconds=n), VAL, one(n, "maximumEventAgeInSeconds", limit)) for n, limit in ((59, AT_LEAST.format(60)), (21_601, AT_MOST.format(21_600)))),
    ("A15", put(EVENTS), IPV, "You must specify at least one of error handling or destination setting."),
    ("A15", put(EVENTS, DestinationConfig={"OnSuccess": {"Destination": ARN}}), IPV, "You can't specify the function as a destination for itself."),
    ("A15", put(EVENTS, DestinationConfig={"OnFailure": {"Destination": "queue"}}), VAL, re.compile("'destinationConfig.onFailure.destination' failed to satisfy constraint: ")),
    ("A15", put(EVENTS, DestinationConfig={"OnFailure": {"Destination": f"arn:aws:iam:{REGION}:{ACCOUNT}:role/x"}}), IPV, f"The provided destination config DestinationConfig(onSuccess=null, onFailure=OnFailure(destination=arn:aws:iam:{REGION}:{ACCOUNT}:role/x)) is invalid."),
    ("A15", put(f"{EVENTS}?Qualifier=nope", MaximumRetryAttempts=1), RNF, "The function doesn't exist."),
    *(("A15", Ask(method, f"{EVENTS}?Qualifier=live", body), RNF, f"The function {ARN}:live doesn't have an EventInvokeConfig") for method, body in (("GET", b""), ("DELETE", b""), ("POST", {"MaximumRetryAttempts": 1}))),
    *(("A16", tag(f"{ARN}:{qualifier}", a="b"), IPV, "Tags on function aliases and versions are not supported. Please specify a function ARN.") for qualifier in ("1", "live", "nope")),
    *(("A16", tag(arn, a="b"), VAL, re.compile("at 'resource' failed to satisfy constraint: ")) for arn in ("arn:aws:something", f"arn:aws:lambda:{REGION}:{ACCOUNT}:foobar:x", f"arn:aws:s3:{REGION}:{ACCOUNT}:function:x")),
    ("A16", tag(ARN), IPV, "An error occurred and the request cannot be processed."),
    ("A16", tag(ARN, **{f"k{n}": "v" for n in range(51)}), IPV, "Number of tags exceeds resource tag limit."),
    ("A16", delete(f"/2017-03-31/tags/{ARN.replace(':', '%3A')}"), VAL, null("tagKeys")),
    *(("A16", ask, RNF, f"Function not found: {MISSING}") for ask in (tag(MISSING, a="b"), get(f"/2017-03-31/tags/{MISSING}"), delete(f"/2017-03-31/tags/{MISSING}?tagKeys=a"))),
    *(("A17", mapping(BatchSize=n), VAL, one(n, "batchSize", limit)) for n, limit in ((0, AT_LEAST.format(1)), (10_001, AT_MOST.format(10_000)))),
    ("A17", mapping(MaximumBatchingWindowInSeconds=301), VAL, one("301", "maximumBatchingWindowInSeconds", AT_MOST.format(300))),
    ("A17", mapping(BatchSize=11), IPV, "Maximum batch window in seconds must be greater than 0 if maximum batch size is greater than 10"),
    *(("A17", mapping(source), IPV, errors("Value null at 'startingPosition' failed to satisfy constraint: Member must not be null.")) for source in (STREAM, TABLE)),
    ("A17", stream(StartingPosition="invalid"), VAL, one("invalid", "startingPosition", ONE_OF.format("LATEST, AT_TIMESTAMP, TRIM_HORIZON"))),
    ("A17", stream(TABLE, StartingPosition="AT_TIMESTAMP", StartingPositionTimestamp=1), IPV, f"Unsupported starting position for arn type: {TABLE}"),
    ("A17", stream(StartingPosition="AT_TIMESTAMP"), IPV),
    *(("A17", mapping(FilterCriteria={"Filters": [{"Pattern": pattern}]}), IPV, "Invalid filter pattern definition.") for pattern in ("simple string", '{"a"', '["a"]', '{"body": "text"}')),
    ("A17", mapping(FilterCriteria={"Filters": [{"Pattern": '{"body": [1]}'}] * 6}), IPV),
    ("A17", mapping(ScalingConfig={"MaximumConcurrency": 1}), VAL, one("1", "scalingConfig.maximumConcurrency", AT_LEAST.format(2))),
    ("A17", post(MAPPINGS, FunctionName=FUNCTION), IPV, "Unrecognized event source."),
    ("A17", mapping(FunctionName="missing"), IPV, "Function does not exist"),
    ("A18", mapping(QUEUE), RCE, re.compile(r"^An event source mapping with SQS arn \(\" arn:aws:sqs:.* \"\) and function \(\" bad \"\) already exists\. Please update or delete the existing mapping with UUID [0-9a-f-]{36}$")),
    *(("A18", Ask(method, f"{MAPPINGS}/{uuid}", body), RNF, NOT_THERE) for uuid in ("00000000-0000-4000-8000-000000000000", "nonsense") for method, body in (("GET", b""), ("PUT", {}), ("DELETE", b""))),
    *(("A19", mapping(source), IPV, "Error occurred while ReceiveMessage. SQS Error Code: AWS.SimpleQueueService.NonExistentQueue. SQS Error Message: The specified queue does not exist.") for source in (QUEUE.replace("bad", "no"), QUEUE.replace("us-east-1", "eu-west-1"))),
    ("A19", mapping(QUEUE.replace("bad", "short")), IPV, "Queue visibility timeout: 1 seconds is less than Function timeout: 3 seconds"),
    ("A20", put(f"/2024-08-31/functions/{FUNCTION}/recursion-config", RecursiveLoop="Maybe"), VAL, one("Maybe", "recursiveLoop", ONE_OF.format("Terminate, Allow"))),
    ("A20", put(RUNTIME, UpdateRuntimeOn="Never"), VAL, re.compile("Value 'Never' at 'updateRuntimeOn' failed to satisfy constraint: Member must satisfy enum value set: ")),
    ("A20", put(RUNTIME, UpdateRuntimeOn="Manual"), IPV),
    ("A20", put(RUNTIME, UpdateRuntimeOn="Manual", RuntimeVersionArn="arn:aws:lambda:us-east-1::layer:12345"), VAL, re.compile("'runtimeVersionArn' failed to satisfy constraint: ")),
    ("A20", put(f"/2024-08-31/functions/{FUNCTION}/recursion-config"), VAL, null("recursiveLoop")),
]

# In the model, and the same in every operation that knows them.
INVOKES = [
    *(("I01", invoke(body=body), IRC, re.compile("^Could not parse request body into json: Could not parse payload into json: ")) for body in (b"{", b"abc", b"{'a': 1}", b"\xef\xbb\xbf{", b'"\xff"', b"1 2", b"[1,]", b"nul")),
    ("I03", invoke(headers_length=str(6 * 1024 * 1024 + 1)), RTL),
    ("I06", invoke(f"{FUNCTIONS}/missing/invocations"), RNF, f"Function not found: {MISSING}:$LATEST"),
    *(("I06", invoke(f"{INVOKE}?Qualifier={qualifier}"), RNF, f"Function not found: {ARN}:{qualifier}") for qualifier in ("77", "nope")),
    ("I07", invoke(f"{INVOKE}?Qualifier=a%20b"), VAL, re.compile("Value 'a b' at 'qualifier' failed to satisfy constraint: ")),
    ("I07", invoke(f"{INVOKE}?Qualifier={'q' * 129}"), VAL, one("q" * 129, "qualifier", LONGEST.format(128))),
    *(("I07", invoke(f"{FUNCTIONS}/{name}%3A1/invocations?Qualifier=2"), IPV, MISMATCH) for name in (FUNCTION, "missing")),
    ("I08", invoke(x_amz_invocation_type="Sometimes"), VAL, one("Sometimes", "invocationType", ONE_OF.format("Event, RequestResponse, DryRun"))),
    ("I09", invoke(x_amz_client_context="%%%"), IRC),
    ("I09", invoke(x_amz_client_context="bm90IEpTT04="), IRC),
]
INVOKES = [(row, Ask(ask.method, ask.path, ask.body, [("content-length" if n == "headers-length" else n, v) for n, v in ask.headers]), *rest) for row, ask, *rest in INVOKES]

SIGNED = f"arn:aws:lambda:{REGION}:{ACCOUNT}:code-signing-config:csc-00000000000000000"
SIGNING_LOST = "The code signing configuration cannot be found. Check that the provided configuration is not deleted: " + SIGNED + "."
CODE_SIGNING = [
    *(("F44", ask, ("CodeSigningConfigNotFoundException", 404), SIGNING_LOST) for ask in (put(f"/2020-06-30/functions/{name}/code-signing-config", CodeSigningConfigArn=SIGNED) for name in (FUNCTION, "missing"))),
    ("F44", post(FUNCTIONS, FunctionName="never", Runtime="python3.12", Handler="a.b", Role=ROLE, Code={"ZipFile": ZIP}, CodeSigningConfigArn=SIGNED), ("CodeSigningConfigNotFoundException", 404), SIGNING_LOST),
    *(("F44", Ask(method, f"{SIGNING}/{SIGNED}{more}", body), RNF, f"The Lambda code signing configuration {SIGNED} can not be found.") for method, more, body in (("GET", "", b""), ("PUT", "", {}), ("DELETE", "", b""), ("GET", "/functions", b""))),
    ("F44", post(SIGNING), VAL, null("allowedPublishers")),
    ("F44", post(SIGNING, AllowedPublishers={"SigningProfileVersionArns": []}), VAL, re.compile("'allowedPublishers.signingProfileVersionArns' failed")),
    ("F44", get(f"{SIGNING}/nonsense"), VAL, re.compile("'codeSigningConfigArn' failed to satisfy constraint: ")),
]

CASES = PARTS + INVOKES + CODE_SIGNING


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("case", CASES, ids=[case[0] for case in CASES])
def test_refused(server, case):
    _, ask, error, *words = case
    judge(ask.of(server), error, *words)


def test_a10_a_policy_has_an_end(server, client, world, unchanged):
    """20 KiB of statements; the one too many leaves the others as they are."""
    sid = "s" * 90
    path = f"{FUNCTIONS}/{FUNCTION}/policy?Qualifier=2"
    for number in range(100):
        answer = Ask("POST", path, {"StatementId": f"{sid}{number}", "Action": "lambda:InvokeFunction", "Principal": "s3.amazonaws.com"}).of(server)
        if answer.status != 201:
            break
        before = raw.request(server, "GET", path).json
    judge(answer, ("PolicyLengthExceededException", 400), re.compile(r"20480"))
    assert raw.request(server, "GET", path).json == before and len(before["Policy"]) <= 20_480
    for kept in range(number):
        client.remove_permission(FunctionName=FUNCTION, Qualifier="2", StatementId=f"{sid}{kept}")

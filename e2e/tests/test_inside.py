"""What functions reach of the server: the API, with the credentials of their role and nothing configured."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from conftest import client_of, deployer, unique
from support.clients import service_of
from support.packages import boto, zip_of
from support.server import HANGS_S, processes_of, wait_until
from test_keys import made

ACCOUNT = "000000000000"
SERVICES = ("lambda", "s3", "logs", "sts", "iam")
TRUST = {"Service": "lambda.amazonaws.com"}

# Calls what the event says; the name of an error and its text where it fails.
CALLER = """
import boto3, json, os
from botocore.exceptions import ClientError
def handler(event, context):
    service, operation, members = event
    try: answer = getattr(boto3.client(service), operation)(**members)
    except ClientError as error: return [error.response['Error']['Code'], error.response['Error']['Message']]
    for name in ('Body', 'Payload'):
        if name in answer: answer[name] = answer[name].read().decode()
    answer.pop('ResponseMetadata')
    return json.loads(json.dumps(answer, default=str))
"""


@pytest.fixture(scope="module")
def layer(client):
    return client.publish_layer_version(LayerName=unique("boto"), Content={"ZipFile": zip_of(boto(SERVICES))})["LayerVersionArn"]


def new_role(iam, trust=TRUST, name=None, **policies):
    """The ARN of a role that functions have, or that `trust` may assume; new_role(iam, policy=[statements])."""
    name = name or unique("role")
    document = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": trust}]}
    arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(document))["Role"]["Arn"]
    for policy, statements in policies.items():
        document = json.dumps({"Version": "2012-10-17", "Statement": statements})
        iam.put_role_policy(RoleName=name, PolicyName=policy, PolicyDocument=document)
    return arn


@pytest.fixture
def role(server):
    """As new_role."""
    iam, made = service_of(server, "iam"), []

    def make(**args):
        made.append(new_role(iam, **args))
        return made[-1]

    yield make
    for name in {arn.split("/")[-1] for arn in made}:
        for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]:
            iam.delete_role_policy(RoleName=name, PolicyName=policy)
        iam.delete_role(RoleName=name)


@pytest.fixture
def bucket(server):
    s3, name = service_of(server, "s3"), unique("b")
    s3.create_bucket(Bucket=name)
    yield name
    for found in s3.list_objects_v2(Bucket=name).get("Contents", []):
        s3.delete_object(Bucket=name, Key=found["Key"])
    s3.delete_bucket(Bucket=name)


def test_a_function_without_configuration_calls_others_and_buckets_and_reads_logs(deploy, layer, bucket):
    """Its role has no record: as whoever comes to an open server, it may do everything."""
    other = deploy("def handler(event, context):\n    print('said', event)\n    return {'got': event}\n")
    caller = deploy(CALLER, Layers=[layer])
    answer = caller.call(["lambda", "invoke", {"FunctionName": other.name, "Payload": '{"a": 1}'}])
    assert json.loads(answer["Payload"]) == {"got": {"a": 1}} and answer["ExecutedVersion"] == "$LATEST"
    caller.call(["s3", "put_object", {"Bucket": bucket, "Key": "a b/ä", "Body": "x" * 100_000}])
    assert caller.call(["s3", "get_object", {"Bucket": bucket, "Key": "a b/ä"}])["Body"] == "x" * 100_000
    said = ["logs", "filter_log_events", {"logGroupName": f"/aws/lambda/{other.name}", "filterPattern": "said"}]
    wait_until(lambda: caller.call(said)["events"], HANGS_S, "the log does not come")
    assert [event["message"] for event in caller.call(said)["events"]] == ["said {'a': 1}\n"]
    assert caller.call(["lambda", "get_function_configuration", {"FunctionName": caller.name}])["FunctionName"] == caller.name
    missing = caller.call(["lambda", "invoke", {"FunctionName": "nowhere"}])
    assert missing == ["ResourceNotFoundException", f"Function not found: arn:aws:lambda:us-east-1:{ACCOUNT}:function:nowhere:$LATEST"]


def test_a_role_allows_what_its_policies_allow(deploy, layer, bucket, role):
    other = deploy("def handler(event, context):\n    return 'called'\n")
    arn = f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:{other.name}"
    role_arn = role(call=[{"Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": arn}])
    caller = deploy(CALLER, Layers=[layer], Role=role_arn)
    session = f"arn:aws:sts::{ACCOUNT}:assumed-role/{role_arn.split('/')[-1]}/{caller.name}"
    assert caller.call(["lambda", "invoke", {"FunctionName": other.name}])["Payload"] == '"called"'

    def denied(service, action, resource, operation, **members):
        shown = f'"{resource}"' if service == "s3" else resource
        text = f"User: {session} is not authorized to perform: {action} on resource: {shown} because no identity-based policy allows the {action} action"
        code = "AccessDenied" if service == "s3" else "AccessDeniedException"
        assert caller.call([service, operation, members]) == [code, text]

    denied("s3", "s3:PutObject", f"arn:aws:s3:::{bucket}/k", "put_object", Bucket=bucket, Key="k", Body="x")
    denied("s3", "s3:ListBucket", f"arn:aws:s3:::{bucket}", "list_objects_v2", Bucket=bucket)
    itself = f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:{caller.name}"
    denied("lambda", "lambda:InvokeFunction", itself, "invoke", FunctionName=caller.name)
    group = f"/aws/lambda/{other.name}"
    log_group = f"arn:aws:logs:us-east-1:{ACCOUNT}:log-group:{group}:log-stream:"
    denied("logs", "logs:FilterLogEvents", log_group, "filter_log_events", logGroupName=group)
    denied("lambda", "lambda:DeleteFunction", arn, "delete_function", FunctionName=other.name)


def test_a_role_changes_under_a_function_that_runs(server, deploy, layer, bucket, role):
    role_arn = role()
    caller = deploy(CALLER, Layers=[layer], Role=role_arn)
    put = ["s3", "put_object", {"Bucket": bucket, "Key": "k", "Body": "x"}]
    assert caller.call(put)[0] == "AccessDenied"
    statement = {"Effect": "Allow", "Action": "s3:*", "Resource": f"arn:aws:s3:::{bucket}/*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam, name = service_of(server, "iam"), role_arn.split("/")[-1]
    iam.put_role_policy(RoleName=name, PolicyName="now", PolicyDocument=document)
    assert "ETag" in caller.call(put)
    iam.delete_role_policy(RoleName=name, PolicyName="now")
    assert caller.call(put)[0] == "AccessDenied"


RAW = """
import json, os, urllib.error, urllib.request
def handler(event, context):
    import boto3
    key, secret, token = [os.environ[n] for n in ('AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_SESSION_TOKEN')]
    if event == 'keys': return [key, secret, token]
    if isinstance(event, str):
        try: return urllib.request.urlopen(os.environ['AWS_ENDPOINT_URL'] + event).status
        except urllib.error.HTTPError as error: return [error.code, error.headers['x-amzn-errortype']]
    key, secret, token = event
    client = boto3.client('lambda', aws_access_key_id=key, aws_secret_access_key=secret, aws_session_token=token)
    try: return len(client.list_functions()['Functions']) > 0
    except Exception as error: return error.response['Error']['Code']
"""


def test_only_the_environments_own_credentials_are_taken(deploy, layer):
    one, two = deploy(RAW, Layers=[layer]), deploy(RAW, Layers=[layer])
    assert one.call("/2015-03-31/functions/") == [403, "MissingAuthenticationTokenException"]
    assert one.call("/_hearth/health")[0] == 404, "the server's own pages are not for functions"
    assert one.call(["test", "test", None]) == "UnrecognizedClientException"
    keys = one.call("keys")
    assert keys[0].startswith("ASIA") and one.call(keys) is True
    assert one.call([keys[0], keys[1] + "x", keys[2]]) == "InvalidSignatureException"
    assert one.call([keys[0], keys[1], None]) == "UnrecognizedClientException"
    assert two.call(keys) == "UnrecognizedClientException", "another environment's"
    one.update(MemorySize=512)
    assert one.call(keys) == "UnrecognizedClientException", "an earlier environment's"


HOSTILE = """
import os, socket
held = []
def handler(event, context):
    while len(held) < event:
        connection = socket.create_connection(('127.0.0.1', 4566))
        # Never a whole head; and a body that never comes.
        connection.sendall(b'GET / HTTP/1.1\\r\\nHost:' if len(held) % 2 else b'PUT /b/k HTTP/1.1\\r\\nHost: x\\r\\nContent-Length: 5000000\\r\\n\\r\\nx')
        held.append(connection)
    return len(held)
"""


def test_one_function_that_holds_all_it_can_takes_nothing_from_others(client, deploy, layer, bucket):
    hostile = deploy(HOSTILE)
    # All that are accepted, and some that wait in the queue.
    assert hostile.call(100) == 100
    caller = deploy(CALLER, Layers=[layer])
    put = ["s3", "put_object", {"Bucket": bucket, "Key": "k", "Body": "x" * 1_000_000}]
    assert "ETag" in caller.call(put)
    assert client.list_functions()["Functions"]
    assert hostile.call(100) == 100, "it is answered all the same"


BACKGROUND = """
import boto3, threading
functions, s3, seen = boto3.client('lambda'), boto3.client('s3'), []
def call(name): seen.append(functions.invoke(FunctionName=name)['Payload'].read().decode())
def handler(event, context):
    global thread
    if event == 'collect':
        thread.join()
        return seen
    thread = threading.Thread(target=call, args=(event['call'],))
    thread.start()
    s3.get_waiter('object_exists').wait(Bucket=event['bucket'], Key='begun', WaiterConfig={'Delay': 0.1, 'MaxAttempts': 250})
    return 'begun'
"""
LATE = """
import boto3, time
def handler(event, context):
    boto3.client('s3').put_object(Bucket='BUCKET', Key='begun')
    time.sleep(2)
    return 'late'
"""


def is_frozen(function):
    """Whether the processes of the function's one environment stand still."""
    unified = next(line.split()[1] for line in Path("/proc/mounts").read_text().splitlines() if line.split()[2] == "cgroup2")
    for pid in processes_of(function):
        try:
            group = next(line[3:] for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines() if line.startswith("0::"))
            return "frozen 1" in Path(f"{unified}{group}/cgroup.events").read_text()
        except OSError:
            continue
    raise AssertionError("no process of the function is there")


def test_an_environment_freezes_with_a_call_open_and_gets_the_answer_when_it_thaws(server, deploy, layer, bucket):
    late = deploy(LATE.replace("BUCKET", bucket), Layers=[layer])
    caller = deploy(BACKGROUND, Layers=[layer])
    assert caller.call({"call": late.name, "bucket": bucket}) == "begun"
    wait_until(lambda: is_frozen(caller), HANGS_S, "the environment does not freeze")
    wait_until(lambda: server.states(late) == ["Idle"], HANGS_S, "the call does not end")
    assert is_frozen(caller), "an answer does not wake it"
    assert caller.call("collect") == ['"late"']


def test_the_credentials_of_a_role_that_is_gone_are_of_no_use(server, deploy, layer, bucket, role):
    statement = [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]
    role_arn = role(all=statement)
    caller = deploy(CALLER, Layers=[layer], Role=role_arn)
    put = ["s3", "put_object", {"Bucket": bucket, "Key": "k", "Body": "x"}]
    assert "ETag" in caller.call(put)
    iam, name = service_of(server, "iam"), role_arn.split("/")[-1]
    iam.delete_role_policy(RoleName=name, PolicyName="all")
    iam.delete_role(RoleName=name)
    assert caller.call(put)[0] == "AccessDenied"
    assert role(name=name, all=statement) == role_arn
    assert caller.call(put)[0] == "AccessDenied", "another one by the same name"
    caller.update(Description="its environments are made anew")
    assert "ETag" in caller.call(put)


DIES = CALLER.replace("    service, operation", "    if event == 'die': os._exit(1)\n    service, operation")


def test_a_role_that_is_gone_allows_nothing_in_environments_that_are_made_later_either(server, deploy, layer):
    """One that never was made allows everything here: to delete a role must not be a way there."""
    role_arn = new_role(service_of(server, "iam"))
    caller = deploy(DIES, Layers=[layer], Role=role_arn)
    list_functions = ["lambda", "list_functions", {}]
    assert caller.call(list_functions)[0] == "AccessDeniedException"
    service_of(server, "iam").delete_role(RoleName=role_arn.split("/")[-1])
    caller.error("die")
    assert caller.call(list_functions)[0] == "AccessDeniedException"
    caller.update(Description="another")
    assert caller.call(list_functions)[0] == "AccessDeniedException"


ASSUMER = """
import boto3
from botocore.exceptions import ClientError
def handler(event, context):
    who = boto3.client('sts').get_caller_identity()['Arn']
    try: keys = boto3.client('sts').assume_role(RoleArn=event['role'], RoleSessionName='other')['Credentials']
    except ClientError as error: return [who, error.response['Error']['Message']]
    session = boto3.Session(keys['AccessKeyId'], keys['SecretAccessKey'], keys['SessionToken'])
    as_other = session.client('sts').get_caller_identity()['Arn']
    try: session.client('s3').put_object(Bucket=event['bucket'], Key='k', Body=b'x')
    except ClientError as error: return [who, as_other, error.response['Error']['Code']]
    return [who, as_other, 'put']
"""


def test_a_function_assumes_another_role(deploy, layer, bucket, role):
    put = [{"Effect": "Allow", "Action": "s3:PutObject", "Resource": f"arn:aws:s3:::{bucket}/*"}]
    assume = [{"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": "*"}]
    own = role(assume=assume)
    function = deploy(ASSUMER, Layers=[layer], Role=own)
    me = f"arn:aws:sts::{ACCOUNT}:assumed-role/{own.split('/')[-1]}/{function.name}"
    trusted = role(trust={"AWS": own}, put=put)
    other = f"arn:aws:sts::{ACCOUNT}:assumed-role/{trusted.split('/')[-1]}/other"
    assert function.call({"role": trusted, "bucket": bucket}) == [me, other, "put"]
    closed = role(put=put)
    text = f"User: {me} is not authorized to perform: sts:AssumeRole on resource: {closed}"
    who, denied = function.call({"role": closed, "bucket": bucket})
    assert who == me and denied.startswith(text)
    made_up = f"arn:aws:iam::{ACCOUNT}:role/{unique('nobody')}"
    who, denied = function.call({"role": made_up, "bucket": bucket})
    assert denied.startswith(f"User: {me} is not authorized to perform: sts:AssumeRole on resource: {made_up}")


def test_where_everybody_signs_a_role_without_a_record_allows_nothing(alone):
    server = alone("--auth", "required")
    key = made(server)
    credentials = {"key": key["AccessKeyId"], "secret": key["SecretAccessKey"]}
    functions, iam = service_of(server, "lambda", **credentials), service_of(server, "iam", **credentials)
    deploy, _ = deployer(functions)
    layer = functions.publish_layer_version(LayerName="boto", Content={"ZipFile": zip_of(boto(SERVICES))})["LayerVersionArn"]
    listing = ["lambda", "list_functions", {}]
    listed = [{"Effect": "Allow", "Action": "lambda:ListFunctions", "Resource": "*"}]
    lister = deploy(CALLER, Layers=[layer], Role=new_role(iam, listed=listed))
    assert [each["FunctionName"] for each in lister.call(listing)["Functions"]] == [lister.name]
    name = lister.client.get_function_configuration(FunctionName=lister.name)["Role"].split("/")[-1]
    iam.delete_role_policy(RoleName=name, PolicyName="listed")
    iam.delete_role(RoleName=name)
    session = f"arn:aws:sts::{ACCOUNT}:assumed-role/{name}/{lister.name}"
    text = f"User: {session} is not authorized to perform: lambda:ListFunctions on resource: * because no identity-based policy allows the lambda:ListFunctions action"
    assert lister.call(listing) == ["AccessDeniedException", text]


REPEAT = """
import boto3
def handler(event, context):
    client = boto3.client('lambda')
    return [client.invoke(FunctionName=event)['Payload'].read().decode() for _ in range(500)]
"""


def test_a_server_that_stops_still_answers_functions_in_work(alone):
    server = alone()
    client = client_of(server)
    deploy, _ = deployer(client)
    layer = client.publish_layer_version(LayerName="boto", Content={"ZipFile": zip_of(boto(SERVICES))})["LayerVersionArn"]
    other = deploy("def handler(event, context):\n    return 'here'\n")
    caller = deploy(REPEAT, Layers=[layer], Timeout=120)
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(caller.call, other.name)
        wait_until(lambda: server.states(other), HANGS_S, "the function does not call")
        server.stop()
        assert running.result() == ['"here"'] * 500


def test_a_function_may_be_sent_elsewhere(deploy):
    code = "import os\ndef handler(event, context):\n    return os.environ['AWS_ENDPOINT_URL']\n"
    assert deploy(code).call() == "http://127.0.0.1:4566"
    elsewhere = deploy(code, Environment={"Variables": {"AWS_ENDPOINT_URL": "http://10.0.0.1:8000"}})
    assert elsewhere.call() == "http://10.0.0.1:8000"

"""What a caller may do: identity policies with conditions, resource policies, what is used besides."""

import json

import pytest

from conftest import PYTHON, ROLE, deployer
from support import raw
from support.errors import refused
from support.keys import allow, client_with, deny, made, made_with, make_role
from support.packages import zip_of
from support.sigv4 import Signed
from support.sources import settled

ECHO = "def handler(event, context): return event"
ARN = "arn:aws:lambda:us-east-1:000000000000:function:"
DENIED = (403, "AccessDeniedException")


@pytest.fixture(scope="module")
def admin(strict):
    key = made(strict)
    make_role(strict, key)
    polling = json.dumps({"Version": "2012-10-17", "Statement": [allow(["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"])]})
    client_with(strict, "iam", key).put_role_policy(RoleName="test", PolicyName="polling", PolicyDocument=polling)
    queues = client_with(strict, "sqs", key)
    for name in ("q", "taken", "hidden"):
        queues.create_queue(QueueName=name)
    return client_with(strict, "lambda", key)


@pytest.fixture(scope="module")
def function(admin):
    """`f`, with a version and an alias of it."""
    deploy, clean = deployer(admin)
    made = deploy(ECHO, FunctionName="f", Tags={"team": "blue"})
    admin.publish_version(FunctionName="f")
    admin.create_alias(FunctionName="f", Name="prod", FunctionVersion="1")
    yield made
    clean()


@pytest.fixture
def caller(strict, tmp_path):
    """caller("ann", allow(...)) -> her Lambda client."""
    return lambda user, *statements, service="lambda": client_with(strict, service, made_with(strict, tmp_path, user, *statements))


def invoked(client, name="f", **more):
    return json.loads(client.invoke(FunctionName=name, Payload="1", **more)["Payload"].read())


def test_what_is_allowed_is_allowed_and_nothing_else(caller, function):
    ann = caller("ann", allow(["lambda:InvokeFunction", "lambda:Get*"], ARN + "f"))
    assert invoked(ann) == 1
    assert ann.get_function(FunctionName="f")["Configuration"]["FunctionName"] == "f"
    assert refused(ann.delete_function, FunctionName="f") == (
        *DENIED,
        "User: arn:aws:iam::000000000000:user/ann is not authorized to perform: lambda:DeleteFunction on resource: "
        f"{ARN}f because no identity-based policy allows the lambda:DeleteFunction action",
    )
    assert refused(ann.list_functions)[2].endswith("lambda:ListFunctions on resource: * because no identity-based policy allows the lambda:ListFunctions action")


def test_what_is_denied_is_denied_whatever_allows_it(caller, function):
    bob = caller("bob", allow("*"), deny("lambda:Delete*", ARN + "*"))
    assert invoked(bob) == 1
    status, code, message = refused(bob.delete_function, FunctionName="f")
    assert (status, code) == DENIED and message.endswith(f"{ARN}f with an explicit deny in an identity-based policy")


def test_who_may_not_learns_nothing(caller, function):
    nobody = caller("nobody", allow("s3:*"))
    there = refused(nobody.get_function, FunctionName="f")
    missing = refused(nobody.get_function, FunctionName="missing")
    assert there[2].replace(ARN + "f ", ARN + "missing ") == missing[2] and there[:2] == missing[:2] == DENIED
    for call, members in [(nobody.invoke, {"FunctionName": "missing"}), (nobody.create_alias, {"FunctionName": "f", "Name": "!", "FunctionVersion": "1"})]:
        assert refused(call, **members)[:2] == DENIED


def test_qualifiers_are_resources_of_their_own(caller, function):
    alias = caller("alias", allow("lambda:InvokeFunction", ARN + "f:prod"))
    assert invoked(alias, Qualifier="prod") == invoked(alias, "f:prod") == invoked(alias, ARN + "f:prod") == 1
    for name, more in [("f", {}), ("f", {"Qualifier": "1"}), ("f:1", {}), ("f", {"Qualifier": "$LATEST"})]:
        assert refused(alias.invoke, FunctionName=name, **more)[:2] == DENIED
    whole = caller("whole", allow("lambda:InvokeFunction", ARN + "f"))
    assert refused(whole.invoke, FunctionName="f", Qualifier="prod")[2].split(" because")[0].endswith(ARN + "f:prod")
    everything = caller("everything", allow("lambda:InvokeFunction", [ARN + "f", ARN + "f:*"]))
    assert invoked(everything) == invoked(everything, Qualifier="prod") == 1


def test_a_functions_policy_lets_its_principal_in(admin, caller, function):
    eve = caller("eve", allow("s3:*"))
    assert refused(eve.invoke, FunctionName="f")[:2] == DENIED
    permission = {"StatementId": "eve", "Action": "lambda:InvokeFunction", "Principal": "arn:aws:iam::000000000000:user/eve"}
    admin.add_permission(FunctionName="f", **permission)
    assert invoked(eve) == 1
    assert refused(eve.get_function, FunctionName="f")[:2] == DENIED
    assert refused(eve.invoke, FunctionName="f", Qualifier="prod")[:2] == DENIED, "the alias has a policy of its own"
    admin.add_permission(FunctionName="f", Qualifier="prod", **permission)
    assert invoked(eve, Qualifier="prod") == 1
    mallory = caller("mallory", deny("lambda:*"))
    admin.add_permission(FunctionName="f", StatementId="all", Action="lambda:InvokeFunction", Principal="*")
    assert "explicit deny" in refused(mallory.invoke, FunctionName="f")[2]
    assert invoked(caller("anybody", allow("s3:*"))) == 1
    for qualifier, sid in [({}, "eve"), ({}, "all"), ({"Qualifier": "prod"}, "eve")]:
        admin.remove_permission(FunctionName="f", StatementId=sid, **qualifier)
    assert refused(eve.invoke, FunctionName="f")[:2] == DENIED, "at once"


@pytest.mark.parametrize(
    "condition, allowed",
    [
        ({"IpAddress": {"aws:SourceIp": "127.0.0.0/8"}}, True),
        ({"NotIpAddress": {"aws:SourceIp": "127.0.0.0/8"}}, False),
        ({"DateGreaterThan": {"aws:CurrentTime": "2020-01-01T00:00:00Z"}}, True),
        ({"DateLessThan": {"aws:CurrentTime": "2020-01-01T00:00:00Z"}}, False),
        ({"StringEquals": {"aws:PrincipalType": "User", "aws:RequestedRegion": "us-east-1"}}, True),
        ({"StringLike": {"aws:UserAgent": "*Botocore*"}}, True),
        ({"StringLike": {"aws:UserAgent": "curl*"}}, False),
        ({"Bool": {"aws:SecureTransport": "true"}}, False),
        ({"StringEquals": {"aws:ResourceTag/team": "blue"}}, True),
        ({"StringEquals": {"aws:ResourceTag/team": "red"}}, False),
        ({"StringEquals": {"aws:username": "cond"}}, True),
        ({"Null": {"aws:TokenIssueTime": "true"}}, True),
    ],
)
def test_conditions_hold(caller, function, condition, allowed):
    client = caller("cond", allow("lambda:InvokeFunction", Condition=condition))
    if allowed:
        assert invoked(client) == 1
    else:
        assert refused(client.invoke, FunctionName="f")[:2] == DENIED


def test_variables_stand_for_the_caller(strict, caller, function):
    own = caller("f", allow("lambda:InvokeFunction", ARN + "${aws:username}"))
    assert invoked(own) == 1
    other = caller("g", allow("lambda:InvokeFunction", ARN + "${aws:username}"))
    assert refused(other.invoke, FunctionName="f")[:2] == DENIED


def test_lambdas_own_condition_keys(admin, caller, function):
    only_s3 = caller("only-s3", allow("lambda:AddPermission", Condition={"StringEquals": {"lambda:Principal": "s3.amazonaws.com"}}))
    permission = {"FunctionName": "f", "Action": "lambda:InvokeFunction"}
    only_s3.add_permission(StatementId="s3", Principal="s3.amazonaws.com", **permission)
    assert refused(only_s3.add_permission, StatementId="all", Principal="*", **permission)[:2] == DENIED
    admin.remove_permission(FunctionName="f", StatementId="s3")

    signed = caller("signed", allow("lambda:*FunctionUrlConfig", Condition={"StringEquals": {"lambda:FunctionUrlAuthType": "AWS_IAM"}}))
    assert refused(signed.create_function_url_config, FunctionName="f", AuthType="NONE")[:2] == DENIED
    signed.create_function_url_config(FunctionName="f", AuthType="AWS_IAM")
    admin.delete_function_url_config(FunctionName="f")

    tagger = caller("tagger", allow("lambda:TagResource", Condition={"ForAllValues:StringEquals": {"aws:TagKeys": ["team"]}}))
    tagger.tag_resource(Resource=ARN + "f", Tags={"team": "blue"})
    assert refused(tagger.tag_resource, Resource=ARN + "f", Tags={"team": "blue", "cost": "1"})[:2] == DENIED

    source = "arn:aws:sqs:us-east-1:000000000000:q"
    mapper = caller("mapper", allow("lambda:*EventSourceMapping", Condition={"ArnEquals": {"lambda:FunctionArn": ARN + "f"}}))
    mapping = mapper.create_event_source_mapping(FunctionName="f", EventSourceArn=source)["UUID"]
    assert refused(mapper.create_event_source_mapping, FunctionName="g", EventSourceArn=source)[:2] == DENIED
    assert settled(mapper, mapping)["FunctionArn"] == ARN + "f"
    mapper.delete_event_source_mapping(UUID=mapping)


def test_who_may_lead_mappings_to_one_function_takes_none_from_others(admin, caller, function):
    admin.create_alias(FunctionName="f", Name="other", FunctionVersion="1")
    mapping = admin.create_event_source_mapping(FunctionName="f:other", EventSourceArn="arn:aws:sqs:us-east-1:000000000000:taken")["UUID"]
    mapper = caller("taker", allow("lambda:*EventSourceMapping", Condition={"ArnEquals": {"lambda:FunctionArn": ARN + "f:prod"}}))
    assert refused(mapper.update_event_source_mapping, UUID=mapping, FunctionName="f:prod")[:2] == DENIED
    settled(admin, mapping)
    both = caller("both", allow("lambda:*EventSourceMapping", Condition={"ArnLike": {"lambda:FunctionArn": ARN + "f:*"}}))
    assert both.update_event_source_mapping(UUID=mapping, FunctionName="f:prod")["FunctionArn"] == ARN + "f:prod"
    settled(admin, mapping)
    admin.delete_event_source_mapping(UUID=mapping)
    admin.delete_alias(FunctionName="f", Name="other")


def test_what_is_denied_is_denied_however_it_is_written(strict, admin, function, tmp_path):
    layer = admin.publish_layer_version(LayerName="hidden", Content={"ZipFile": zip_of({"python/m.py": "x = 1\n"})})["LayerArn"]
    uuid = admin.create_event_source_mapping(FunctionName="f", EventSourceArn="arn:aws:sqs:us-east-1:000000000000:hidden")["UUID"]
    mapping = ARN.replace("function:", "event-source-mapping:") + uuid
    key = made_with(strict, tmp_path, "denied", allow("*"), deny("lambda:*", [layer, f"{layer}:*", mapping]))

    def asked(path):
        request = Signed(strict, key, "GET", path).sign()
        answer = raw.request(strict, request.method, request.path, headers=list(request.headers.items()))
        return answer.status, b"with an explicit deny" in answer.body

    def escaped(arn):
        return arn.replace(":", "%3A")

    elsewhere = escaped(layer.replace("arn:aws:", "arn:aws-cn:"))
    layers, mappings = "/2018-10-31/layers", "/2015-03-31/event-source-mappings"
    paths = [f"{layers}/{name}/versions/{number}" for name in ("hidden", escaped(layer), elsewhere) for number in ("1", "01")]
    paths += [f"{layers}/{elsewhere}/versions", f"{layers}?Arn={elsewhere}%3A1&find=LayerVersion"]
    paths += [f"{mappings}/{form}" for form in (uuid, uuid.upper(), uuid.replace("-", ""), f"urn%3Auuid%3A{uuid}")]
    paths += ["/2017-03-31/tags/" + escaped(mapping.replace("arn:aws:", "arn:aws-cn:"))]
    assert {path: asked(path) for path in paths} == {path: (403, True) for path in paths}
    admin.delete_event_source_mapping(UUID=uuid)


def test_a_layer_and_a_role_are_given_by_those_who_may(strict, admin, caller):
    layer = admin.publish_layer_version(LayerName="l", Content={"ZipFile": zip_of({"python/m.py": "x = 1\n"})})["LayerVersionArn"]
    base = {"Runtime": PYTHON, "Handler": "app.handler", "Role": ROLE, "Code": {"ZipFile": zip_of({"app.py": ECHO})}}
    create = allow("lambda:CreateFunction")
    passing = allow("iam:PassRole", ROLE, Condition={"StringEquals": {"iam:PassedToService": "lambda.amazonaws.com"}})

    plain = caller("plain", create)
    message = refused(plain.create_function, FunctionName="h", **base)[2]
    assert f"is not authorized to perform: iam:PassRole on resource: {ROLE}" in message
    passer = caller("passer", create, passing)
    message = refused(passer.create_function, FunctionName="h", Layers=[layer], **base)[2]
    assert f"lambda:GetLayerVersion on resource: {layer}" in message
    admin.add_layer_version_permission(LayerName="l", VersionNumber=1, StatementId="all", Action="lambda:GetLayerVersion", Principal="*")
    passer.create_function(FunctionName="h", Layers=[layer], **base)
    limited = caller("limited", create, passing, deny("lambda:CreateFunction", Condition={"ForAnyValue:StringLike": {"lambda:Layer": "*:layer:l:*"}}))
    assert "explicit deny" in refused(limited.create_function, FunctionName="i", Layers=[layer], **base)[2]
    admin.delete_function(FunctionName="h")


def test_code_is_taken_from_buckets_that_the_caller_may_read(strict, admin, caller):
    s3 = client_with(strict, "s3", made(strict))
    s3.create_bucket(Bucket="code")
    s3.put_object(Bucket="code", Key="f.zip", Body=zip_of({"app.py": ECHO}))
    base = {"Runtime": PYTHON, "Handler": "app.handler", "Role": ROLE, "Code": {"S3Bucket": "code", "S3Key": "f.zip"}}
    grants = [allow("lambda:CreateFunction"), allow("iam:PassRole")]
    status, code, message = refused(caller("no-s3", *grants).create_function, FunctionName="j", **base)
    assert (status, code) == DENIED and message.startswith("Your access has been denied by S3, please make sure your request credentials have permission to GetObject for code/f.zip.")
    caller("with-s3", *grants, allow("s3:GetObject", "arn:aws:s3:::code/*")).create_function(FunctionName="j", **base)
    admin.delete_function(FunctionName="j")


def test_s3_asks_for_each_object(strict, caller):
    owner = client_with(strict, "s3", made(strict))
    owner.create_bucket(Bucket="shared")
    for key in ("ann/1", "bob/1"):
        owner.put_object(Bucket="shared", Key=key, Body=b"content")
    objects = allow(["s3:GetObject", "s3:PutObject", "s3:DeleteObject"], "arn:aws:s3:::shared/${aws:username}/*")
    listing = allow("s3:ListBucket", "arn:aws:s3:::shared", Condition={"StringLike": {"s3:prefix": "${aws:username}/*"}})
    ann = caller("ann", objects, listing, service="s3")
    assert ann.get_object(Bucket="shared", Key="ann/1")["Body"].read() == b"content"
    status, code, message = refused(ann.get_object, Bucket="shared", Key="bob/1")
    assert (status, code) == (403, "AccessDenied")
    assert message == (
        'User: arn:aws:iam::000000000000:user/ann is not authorized to perform: s3:GetObject on resource: "arn:aws:s3:::shared/bob/1" '
        "because no identity-based policy allows the s3:GetObject action"
    )
    assert [found["Key"] for found in ann.list_objects_v2(Bucket="shared", Prefix="ann/")["Contents"]] == ["ann/1"]
    assert refused(ann.list_objects_v2, Bucket="shared")[:2] == (403, "AccessDenied")
    assert refused(ann.copy_object, Bucket="shared", Key="ann/2", CopySource="shared/bob/1")[:2] == (403, "AccessDenied")
    ann.copy_object(Bucket="shared", Key="ann/2", CopySource="shared/ann/1")
    done = ann.delete_objects(Bucket="shared", Delete={"Objects": [{"Key": "ann/2"}, {"Key": "bob/1"}]})
    assert [one["Key"] for one in done["Deleted"]] == ["ann/2"] and [one["Code"] for one in done["Errors"]] == ["AccessDenied"]
    assert refused(ann.get_object, Bucket="shared", Key="ann/none")[:2] == (403, "AccessDenied"), "what is not there is not told"
    assert refused(owner.get_object, Bucket="shared", Key="ann/none")[:2] == (404, "NoSuchKey")


def test_the_other_services_ask_too(caller):
    nobody = [allow("lambda:*")]
    for service, call, members, action in [
        ("iam", "create_role", {"RoleName": "x", "AssumeRolePolicyDocument": "{}"}, "iam:CreateRole"),
        ("ssm", "get_parameter", {"Name": "/x"}, "ssm:GetParameter"),
        ("logs", "describe_log_groups", {}, "logs:DescribeLogGroups"),
    ]:
        client = caller("nobody", *nobody, service=service)
        status, code, message = refused(getattr(client, call), **members)
        assert status in (400, 403) and code in ("AccessDenied", "AccessDeniedException") and f"is not authorized to perform: {action}" in message
    assert caller("nobody", *nobody, service="sts").get_caller_identity()["Account"] == "000000000000"

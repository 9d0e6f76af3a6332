"""What a key may do with roles, parameters and upstreams, where everybody must sign."""

import json

import pytest

from support.errors import refused
from support.keys import allow, client_with, made, made_with
from support.server import running

ACCOUNT = "000000000000"


@pytest.fixture(scope="module")
def strict():
    # Nobody listens there: who may not, is refused before it is asked.
    with running("--auth", "required", "--upstream", "sqs=http://127.0.0.1:9") as server:
        yield server


@pytest.fixture
def caller(strict, tmp_path):
    return lambda user, service, *statements: client_with(strict, service, made_with(strict, tmp_path, user, *statements))


def test_parameters_are_given_by_their_paths(strict, caller):
    ssm = client_with(strict, "ssm", made(strict))
    for name in ("/app/url", "/other/url"):
        ssm.put_parameter(Name=name, Value=name, Type="String")
    reader = caller("reader", "ssm", allow("ssm:Get*", f"arn:aws:ssm:us-east-1:{ACCOUNT}:parameter/app/*"))
    assert reader.get_parameter(Name="/app/url")["Parameter"]["Value"] == "/app/url"
    assert [p["Name"] for p in reader.get_parameters_by_path(Path="/app")["Parameters"]] == ["/app/url"]
    status, code, message = refused(reader.get_parameter, Name="/other/url")
    assert code == "AccessDeniedException" and f"ssm:GetParameter on resource: arn:aws:ssm:us-east-1:{ACCOUNT}:parameter/other/url" in message
    for call, args in [
        (reader.get_parameters, {"Names": ["/app/url", "/other/url"]}),
        (reader.get_parameters_by_path, {"Path": "/", "Recursive": True}),
        (reader.put_parameter, {"Name": "/app/url", "Value": "x", "Overwrite": True}),
        (reader.delete_parameter, {"Name": "/app/url"}),
        (reader.describe_parameters, {}),
    ]:
        assert refused(call, **args)[1] == "AccessDeniedException", call
    assert ssm.get_parameter(Name="/app/url")["Parameter"]["Version"] == 1


def test_roles_are_made_by_who_may(strict, caller):
    trust = json.dumps({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "lambda.amazonaws.com"}}})
    maker = caller("maker", "iam", allow(["iam:CreateRole", "iam:GetRole", "iam:DeleteRole"], f"arn:aws:iam::{ACCOUNT}:role/team/*"))
    maker.create_role(RoleName="allowed", Path="/team/", AssumeRolePolicyDocument=trust)
    assert refused(maker.create_role, RoleName="other", AssumeRolePolicyDocument=trust)[:2] == (403, "AccessDenied")
    assert refused(maker.put_role_policy, RoleName="allowed", PolicyName="p", PolicyDocument=trust)[1] in ("AccessDenied", "MalformedPolicyDocument")
    assert refused(maker.list_roles)[1] == "AccessDenied"
    assert refused(maker.get_role, RoleName="nobody")[1] == "AccessDenied", "who may not see a role does not learn whether it is there"
    maker.delete_role(RoleName="allowed")


def test_a_role_is_assumed_by_whom_it_trusts(strict, caller):
    iam = client_with(strict, "iam", made(strict))
    trust = lambda who: json.dumps({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": who}}})
    arn = iam.create_role(RoleName="trusting", AssumeRolePolicyDocument=trust(f"arn:aws:iam::{ACCOUNT}:user/friend"))["Role"]["Arn"]
    friend, stranger = caller("friend", "sts", allow("ssm:*")), caller("stranger", "sts", allow("sts:*"))
    session = friend.assume_role(RoleArn=arn, RoleSessionName="session")["Credentials"]
    assert client_with(strict, "sts", session).get_caller_identity()["Arn"] == f"arn:aws:sts::{ACCOUNT}:assumed-role/trusting/session"
    known = refused(stranger.assume_role, RoleArn=arn, RoleSessionName="session")
    unknown = refused(stranger.assume_role, RoleArn=arn + "x", RoleSessionName="session")
    assert known[:2] == unknown[:2] == (403, "AccessDenied") and known[2] == unknown[2].replace("trustingx", "trusting")


def test_upstreams_are_asked_only_for_who_may(strict, caller):
    sender = caller("sender", "sqs", allow("sqs:SendMessage"))
    assert refused(sender.list_queues)[1] == "AccessDeniedException"
    assert refused(sender.send_message, QueueUrl=f"{strict.url}/{ACCOUNT}/q", MessageBody="x")[:2] == (503, "ServiceUnavailable")
    assert refused(client_with(strict, "sqs", {"AccessKeyId": "test", "SecretAccessKey": "test"}).list_queues)[1] == "UnrecognizedClientException"

"""The roles that functions are given: any, unless somebody made them; where signatures are asked for, only those."""

import json
import subprocess

import boto3
import pytest
from botocore.config import Config

from conftest import PYTHON, client_of, unique
from support.errors import refused
from support.packages import zip_of
from support.server import HEARTH

PACKAGE = zip_of({"app.py": "def handler(event, context):\n    return 'one'\n"})
NOT_ASSUMABLE = (400, "InvalidParameterValueException", "The role defined for the function cannot be assumed by Lambda.")


def trust(service):
    statement = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def create(client, name, role):
    code = {"ZipFile": PACKAGE}
    return client.create_function(FunctionName=name, Runtime=PYTHON, Handler="app.handler", Role=role, Code=code)


def signed(server, service, *args):
    """A client with a key of its own."""
    words = [HEARTH, "keys", "create", "--json", "--data-dir", str(server.data), *map(str, args)]
    made = json.loads(subprocess.run(words, capture_output=True, check=True, timeout=60).stdout)
    return boto3.client(
        service,
        endpoint_url=server.url,
        region_name="us-east-1",
        aws_access_key_id=made["AccessKeyId"],
        aws_secret_access_key=made["SecretAccessKey"],
        config=Config(retries={"total_max_attempts": 1}),
    )


@pytest.fixture
def iam(server):
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
    return boto3.client("iam", endpoint_url=server.url, region_name="us-east-1", **keys)


def test_a_role_that_was_made_must_trust_lambda(client, iam, deploy):
    role = unique("role")
    made = iam.create_role(RoleName=role, AssumeRolePolicyDocument=trust("ec2.amazonaws.com"))["Role"]["Arn"]
    name = unique()
    assert refused(create, client, name, made) == NOT_ASSUMABLE
    assert refused(client.get_function, FunctionName=name)[0] == 404, "nothing is left of it"
    function = deploy(PACKAGE)
    assert refused(client.update_function_configuration, FunctionName=function.name, Role=made) == NOT_ASSUMABLE
    iam.update_assume_role_policy(RoleName=role, PolicyDocument=trust("lambda.amazonaws.com"))
    function.update(Role=made)
    assert client.get_function_configuration(FunctionName=function.name)["Role"] == made
    iam.delete_role(RoleName=role)


def test_a_role_that_nobody_made_is_fine(client, deploy):
    for account in ("000000000000", "123456789012"):
        role = f"arn:aws:iam::{account}:role/service-role/{unique('nobody')}"
        assert client.get_function_configuration(FunctionName=deploy(PACKAGE, Role=role).name)["Role"] == role


def test_signed_requests_need_a_role_that_is_there_and_leave_to_pass_it(alone, tmp_path):
    server = alone("--auth", "required")
    admin, iam = signed(server, "lambda"), signed(server, "iam")
    arn = "arn:aws:iam::000000000000:role/made"
    assert refused(create, admin, "f", arn) == NOT_ASSUMABLE
    iam.create_role(RoleName="made", AssumeRolePolicyDocument=trust("lambda.amazonaws.com"))
    create(admin, "f", arn)
    other = "arn:aws:iam::123456789012:role/made"
    assert refused(create, admin, "g", other)[:2] == (403, "AccessDeniedException")

    statement = {"Effect": "Allow", "Action": "lambda:*", "Resource": "*"}
    (tmp_path / "policy.json").write_text(json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
    deployer = signed(server, "lambda", "--user", "deployer", "--policy", tmp_path / "policy.json")
    status, code, message = refused(create, deployer, "g", arn)
    assert (status, code) == (403, "AccessDeniedException")
    assert message.startswith(
        "User: arn:aws:iam::000000000000:user/deployer is not authorized to perform: iam:PassRole on resource: " + arn
    )
    assert refused(deployer.update_function_configuration, FunctionName="f", Role=arn)[:2] == (403, "AccessDeniedException")
    deployer.get_waiter("function_active_v2").wait(FunctionName="f")
    deployer.update_function_configuration(FunctionName="f", Description="no role is passed")
    assert refused(client_of(server).get_function, FunctionName="f")[0] == 403, "a key that nobody made"

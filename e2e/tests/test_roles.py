"""The roles that functions are given: any, unless somebody made them; where signatures are asked for, only those."""

import json

import pytest

from conftest import PYTHON, client_of, unique
from support.errors import refused
from support.keys import allow, client_with, made, made_with, make_role
from support.packages import zip_of

PACKAGE = zip_of({"app.py": "def handler(event, context):\n    return 'one'\n"})
NOT_ASSUMABLE = (400, "InvalidParameterValueException", "The role defined for the function cannot be assumed by Lambda.")


def trust(service):
    statement = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def create(client, name, role):
    code = {"ZipFile": PACKAGE}
    return client.create_function(FunctionName=name, Runtime=PYTHON, Handler="app.handler", Role=role, Code=code)


@pytest.fixture
def iam(server):
    return client_with(server, "iam", {"AccessKeyId": "test", "SecretAccessKey": "test"})


def test_a_role_that_was_made_must_trust_lambda(client, iam, deploy):
    role = unique("role")
    arn = iam.create_role(RoleName=role, AssumeRolePolicyDocument=trust("ec2.amazonaws.com"))["Role"]["Arn"]
    name = unique()
    assert refused(create, client, name, arn) == NOT_ASSUMABLE
    assert refused(client.get_function, FunctionName=name)[0] == 404, "nothing is left of it"
    function = deploy(PACKAGE)
    assert refused(client.update_function_configuration, FunctionName=function.name, Role=arn) == NOT_ASSUMABLE
    iam.update_assume_role_policy(RoleName=role, PolicyDocument=trust("lambda.amazonaws.com"))
    function.update(Role=arn)
    assert client.get_function_configuration(FunctionName=function.name)["Role"] == arn
    iam.delete_role(RoleName=role)


def test_a_role_that_nobody_made_is_fine(client, deploy):
    for account in ("000000000000", "123456789012"):
        role = f"arn:aws:iam::{account}:role/service-role/{unique('nobody')}"
        assert client.get_function_configuration(FunctionName=deploy(PACKAGE, Role=role).name)["Role"] == role


def test_signed_requests_need_a_role_that_is_there_and_leave_to_pass_it(alone, tmp_path):
    server = alone("--auth", "required")
    key = made(server)
    admin = client_with(server, "lambda", key)
    arn = "arn:aws:iam::000000000000:role/made"
    assert refused(create, admin, "f", arn) == NOT_ASSUMABLE
    make_role(server, key, "made")
    create(admin, "f", arn)
    other = "arn:aws:iam::123456789012:role/made"
    assert refused(create, admin, "g", other)[:2] == (403, "AccessDeniedException")

    deployer = client_with(server, "lambda", made_with(server, tmp_path, "deployer", allow("lambda:*")))
    status, code, message = refused(create, deployer, "g", arn)
    assert (status, code) == (403, "AccessDeniedException")
    assert message.startswith(
        "User: arn:aws:iam::000000000000:user/deployer is not authorized to perform: iam:PassRole on resource: " + arn
    )
    assert refused(deployer.update_function_configuration, FunctionName="f", Role=arn)[:2] == (403, "AccessDeniedException")
    deployer.get_waiter("function_active_v2").wait(FunctionName="f")
    deployer.update_function_configuration(FunctionName="f", Description="no role is passed")
    assert refused(client_of(server).get_function, FunctionName="f")[0] == 403, "a key that nobody made"

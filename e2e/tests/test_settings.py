"""Settings of functions, versions and aliases, as boto3 writes and reads them: each keeps its own, all go with the function."""

import json
import re

import pytest

from conftest import PYTHON, ROLE, unique
from support.errors import refused
from support.packages import zip_of

CODE = "def handler(event, context):\n    return 'one'\n"
PACKAGE = zip_of({"app.py": CODE})
ACCOUNT = "us-east-1:000000000000"
PROFILES = {"SigningProfileVersionArns": [f"arn:aws:signer:{ACCOUNT}:/signing-profiles/p/1"]}
GONE = (404, "ResourceNotFoundException", "The resource you requested does not exist.")


def arn(name):
    return f"arn:aws:lambda:{ACCOUNT}:function:{name}"


def bare(answer):
    return {key: value for key, value in answer.items() if key != "ResponseMetadata"}


@pytest.fixture
def aliased(client, deploy):
    """The name of a function with version 1, which the alias `live` leads to."""
    function = deploy(CODE)
    client.publish_version(FunctionName=function.name)
    client.create_alias(FunctionName=function.name, Name="live", FunctionVersion="1")
    return function.name


def test_event_invoke_configs_are_replaced_or_changed(client, aliased):
    target = {"FunctionName": aliased, "Qualifier": "live"}
    queue = f"arn:aws:sqs:{ACCOUNT}:dead"
    put = client.put_function_event_invoke_config(**target, MaximumRetryAttempts=0, DestinationConfig={"OnFailure": {"Destination": queue}})
    assert (put["FunctionArn"], put["MaximumRetryAttempts"]) == (f"{arn(aliased)}:live", 0)
    assert put["DestinationConfig"] == {"OnSuccess": {}, "OnFailure": {"Destination": queue}}
    assert "MaximumEventAgeInSeconds" not in put
    changed = client.update_function_event_invoke_config(**target, MaximumEventAgeInSeconds=60)
    assert (changed["MaximumRetryAttempts"], changed["MaximumEventAgeInSeconds"]) == (0, 60)
    assert bare(client.get_function_event_invoke_config(**target)) == bare(changed)
    replaced = client.put_function_event_invoke_config(**target, MaximumRetryAttempts=1)
    assert "MaximumEventAgeInSeconds" not in replaced and replaced["DestinationConfig"] == {"OnSuccess": {}, "OnFailure": {}}
    missing = f"The function {arn(aliased)}:$LATEST doesn't have an EventInvokeConfig"
    assert refused(client.get_function_event_invoke_config, FunctionName=aliased) == (404, "ResourceNotFoundException", missing)
    client.delete_function_event_invoke_config(**target)
    assert client.list_function_event_invoke_configs(FunctionName=aliased)["FunctionEventInvokeConfigs"] == []


def test_a_url_is_its_owners_until_it_is_deleted(client, server, aliased):
    urls = {}
    for qualifier in ({}, {"Qualifier": "live"}):
        made = client.create_function_url_config(FunctionName=aliased, **qualifier, AuthType="NONE", Cors={"AllowOrigins": ["*"]})
        assert re.fullmatch(rf"http://[a-z0-9]{{32}}\.lambda-url\.us-east-1\.localhost:{server.port}/", made["FunctionUrl"]), made
        changed = client.update_function_url_config(FunctionName=aliased, **qualifier, AuthType="AWS_IAM", InvokeMode="RESPONSE_STREAM", Cors={})
        assert (changed["FunctionUrl"], changed["AuthType"], changed["InvokeMode"]) == (made["FunctionUrl"], "AWS_IAM", "RESPONSE_STREAM")
        assert "Cors" not in changed
        assert bare(client.get_function_url_config(FunctionName=aliased, **qualifier)) == bare(changed)
        urls[made["FunctionArn"]] = made["FunctionUrl"]
    assert set(urls) == {arn(aliased), f"{arn(aliased)}:live"} and len(set(urls.values())) == 2
    assert refused(client.create_function_url_config, FunctionName=aliased, AuthType="NONE")[:2] == (409, "ResourceConflictException")
    client.delete_function_url_config(FunctionName=aliased)
    assert refused(client.get_function_url_config, FunctionName=aliased) == GONE
    client.delete_alias(FunctionName=aliased, Name="live")
    left = client.list_function_url_configs(FunctionName=aliased)["FunctionUrlConfigs"]
    assert [url["FunctionArn"] for url in left] == [f"{arn(aliased)}:live"], "it outlives its alias"
    client.delete_function_url_config(FunctionName=aliased, Qualifier="live")
    assert client.list_function_url_configs(FunctionName=aliased)["FunctionUrlConfigs"] == []


def test_provisioned_concurrency_is_kept_by_qualifier(client, aliased):
    target = {"FunctionName": aliased, "Qualifier": "live"}
    asked = client.put_provisioned_concurrency_config(**target, ProvisionedConcurrentExecutions=2)
    assert (asked["ResponseMetadata"]["HTTPStatusCode"], asked["Status"]) == (202, "IN_PROGRESS")
    found = client.get_provisioned_concurrency_config(**target)
    assert found["RequestedProvisionedConcurrentExecutions"] == 2
    pointed = (409, "ResourceConflictException", "Version is pointed by a Provisioned Concurrency alias")
    assert refused(client.put_provisioned_concurrency_config, FunctionName=aliased, Qualifier="1", ProvisionedConcurrentExecutions=1) == pointed
    low = " ReservedConcurrentExecutions  1 should not be lower than function's total provisioned concurrency [2]."
    assert refused(client.put_function_concurrency, FunctionName=aliased, ReservedConcurrentExecutions=1)[2] == low
    client.delete_provisioned_concurrency_config(**target)
    none = (404, "ProvisionedConcurrencyConfigNotFoundException", "No Provisioned Concurrency Config found for this function")
    assert refused(client.get_provisioned_concurrency_config, **target) == none


def test_permissions_are_each_qualifiers_own(client, aliased):
    owners = ({}, {"Qualifier": "1"}, {"Qualifier": "live"})
    for qualifier in owners:
        resource = ":".join([arn(aliased), *qualifier.values()])
        added = client.add_permission(
            FunctionName=aliased, **qualifier, StatementId="s3", Action="lambda:InvokeFunction", Principal="s3.amazonaws.com",
            SourceArn="arn:aws:s3:::b", SourceAccount="000000000000",
        )
        statement = {
            "Sid": "s3", "Effect": "Allow", "Principal": {"Service": "s3.amazonaws.com"}, "Action": "lambda:InvokeFunction",
            "Resource": resource,
            "Condition": {"StringEquals": {"AWS:SourceAccount": "000000000000"}, "ArnLike": {"AWS:SourceArn": "arn:aws:s3:::b"}},
        }
        assert json.loads(added["Statement"]) == statement
        policy = client.get_policy(FunctionName=aliased, **qualifier)
        assert json.loads(policy["Policy"]) == {"Version": "2012-10-17", "Id": "default", "Statement": [statement]}
        again = {"StatementId": "other", "Action": "lambda:InvokeFunction", "Principal": "*"}
        assert refused(client.add_permission, FunctionName=aliased, **qualifier, **again, RevisionId="stale")[:2] == (412, "PreconditionFailedException")
        client.add_permission(FunctionName=aliased, **qualifier, **again, RevisionId=policy["RevisionId"])
        client.remove_permission(FunctionName=aliased, **qualifier, StatementId="s3")
        left = json.loads(client.get_policy(FunctionName=aliased, **qualifier)["Policy"])["Statement"]
        assert [statement["Sid"] for statement in left] == ["other"]
    for qualifier in owners:
        client.remove_permission(FunctionName=aliased, **qualifier, StatementId="other")
        assert refused(client.get_policy, FunctionName=aliased, **qualifier) == GONE


def test_a_loop_is_ended_unless_it_is_allowed(client, aliased):
    assert client.get_function_recursion_config(FunctionName=aliased)["RecursiveLoop"] == "Terminate"
    for choice in ("Allow", "Terminate"):
        assert client.put_function_recursion_config(FunctionName=aliased, RecursiveLoop=choice)["RecursiveLoop"] == choice
        assert client.get_function_recursion_config(FunctionName=aliased)["RecursiveLoop"] == choice


def test_runtimes_are_updated_with_the_machine(client, aliased):
    for qualifier, owner in (({}, "$LATEST"), ({"Qualifier": "1"}, "1")):
        auto = {"UpdateRuntimeOn": "Auto", "FunctionArn": f"{arn(aliased)}:{owner}"}
        assert bare(client.put_runtime_management_config(FunctionName=aliased, **qualifier, UpdateRuntimeOn="Auto")) == auto
        assert bare(client.get_runtime_management_config(FunctionName=aliased, **qualifier)) == auto


def test_unsigned_code_is_refused_where_signatures_are_enforced(client, deploy):
    config = client.create_code_signing_config(AllowedPublishers=PROFILES, Description="d", Tags={"k": "v"})["CodeSigningConfig"]
    signing = {"CodeSigningConfigArn": config["CodeSigningConfigArn"]}
    assert config["CodeSigningPolicies"] == {"UntrustedArtifactOnDeployment": "Warn"}
    assert client.list_tags(Resource=config["CodeSigningConfigArn"])["Tags"] == {"k": "v"}
    function = deploy(CODE, **signing)
    assert bare(client.get_function_code_signing_config(FunctionName=function.name)) == {**signing, "FunctionName": function.name}
    assert client.list_functions_by_code_signing_config(**signing)["FunctionArns"] == [arn(function.name)]
    function.update({"app.py": CODE.replace("one", "two")})
    assert function.call() == "two", "Warn takes what is not signed"

    enforced = client.update_code_signing_config(**signing, CodeSigningPolicies={"UntrustedArtifactOnDeployment": "Enforce"})
    assert enforced["CodeSigningConfig"]["Description"] == "d"
    unsigned = (
        400, "CodeVerificationFailedException",
        "Lambda cannot deploy the function. The function or layer might be signed using a signature that the client is not "
        f"configured to accept. Check the provided signature for {function.name}.",
    )
    assert refused(client.update_function_code, FunctionName=function.name, ZipFile=PACKAGE) == unsigned
    name = unique()
    new = {"FunctionName": name, "Runtime": PYTHON, "Handler": "app.handler", "Role": ROLE, "Code": {"ZipFile": PACKAGE}}
    assert refused(client.create_function, **new, **signing)[:2] == unsigned[:2]
    assert refused(client.get_function, FunctionName=name)[0] == 404
    assert function.call() == "two", "what was there goes on"
    assert refused(client.delete_code_signing_config, **signing)[:2] == (409, "ResourceConflictException")
    client.delete_function_code_signing_config(FunctionName=function.name)
    client.delete_code_signing_config(**signing)
    assert refused(client.get_code_signing_config, **signing)[0] == 404
    function.update({"app.py": CODE})
    assert function.call() == "one"


def test_a_function_takes_its_settings_with_it(client, deploy):
    name = unique()
    for _ in range(2):
        deploy(CODE, FunctionName=name)
        assert refused(client.get_policy, FunctionName=name) == GONE
        assert refused(client.get_function_url_config, FunctionName=name) == GONE
        assert refused(client.get_function_event_invoke_config, FunctionName=name)[0] == 404
        assert bare(client.get_function_concurrency(FunctionName=name)) == {}
        assert client.get_function_recursion_config(FunctionName=name)["RecursiveLoop"] == "Terminate"
        client.add_permission(FunctionName=name, StatementId="s", Action="lambda:InvokeFunction", Principal="*")
        client.create_function_url_config(FunctionName=name, AuthType="NONE")
        client.put_function_event_invoke_config(FunctionName=name, MaximumRetryAttempts=0)
        client.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=1)
        client.put_function_recursion_config(FunctionName=name, RecursiveLoop="Allow")
        client.delete_function(FunctionName=name)

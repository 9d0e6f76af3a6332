"""The members of CreateFunction and UpdateFunctionConfiguration: what is taken comes back, what is not is named."""

import hashlib

import pytest

from conftest import PYTHON, ROLE, unique
from support.errors import refused
from support.packages import zip_of

CODE = "def handler(event, context):\n    return 'one'\n"
PACKAGE = zip_of({"app.py": CODE})
ACCOUNT = "us-east-1:000000000000"
IMAGE = "000000000000.dkr.ecr.us-east-1.amazonaws.com/team/image:1"


def create(client, name, **args):
    given = {"Runtime": PYTHON, "Handler": "app.handler", "Role": ROLE, "Code": {"ZipFile": PACKAGE}}
    return client.create_function(FunctionName=name, **{**given, **args})


def shown(client, name, member):
    return client.get_function_configuration(FunctionName=name).get(member)


# Member, what is given, what comes back, what clears it or sets it back, what comes back then.
KEPT = {
    "KMSKeyArn": ("arn:aws:kms:us-east-1:000000000000:key/k", "arn:aws:kms:us-east-1:000000000000:key/k", "", None),
    "TracingConfig": ({"Mode": "Active"}, {"Mode": "Active"}, {"Mode": "PassThrough"}, {"Mode": "PassThrough"}),
    "DeadLetterConfig": ({"TargetArn": f"arn:aws:sqs:{ACCOUNT}:q"}, {"TargetArn": f"arn:aws:sqs:{ACCOUNT}:q"}, {"TargetArn": ""}, None),
    "LoggingConfig": (
        {"LogFormat": "JSON", "ApplicationLogLevel": "WARN", "LogGroup": "group"},
        {"LogFormat": "JSON", "ApplicationLogLevel": "WARN", "SystemLogLevel": "INFO", "LogGroup": "group"},
        {"LogFormat": "Text"},
        {"LogFormat": "Text", "LogGroup": "group"},
    ),
    "SnapStart": (
        {"ApplyOn": "PublishedVersions"},
        {"ApplyOn": "PublishedVersions", "OptimizationStatus": "Off"},
        {"ApplyOn": "None"},
        {"ApplyOn": "None", "OptimizationStatus": "Off"},
    ),
    "VpcConfig": (
        {"SubnetIds": [], "SecurityGroupIds": []},
        {"SubnetIds": [], "SecurityGroupIds": [], "VpcId": "", "Ipv6AllowedForDualStack": False},
        {"SubnetIds": [], "SecurityGroupIds": []},
        {"SubnetIds": [], "SecurityGroupIds": [], "VpcId": "", "Ipv6AllowedForDualStack": False},
    ),
    "FileSystemConfigs": ([], None, [], None),
    "ImageConfig": ({}, None, {}, None),
    "EphemeralStorage": ({"Size": 1024}, {"Size": 1024}, {"Size": 512}, {"Size": 512}),
}


@pytest.mark.parametrize("member", KEPT)
def test_a_member_comes_back_and_can_be_cleared(client, deploy, member):
    given, expected, clear, cleared = KEPT[member]
    # Snapshots are of some runtimes only, whether or not this machine has them.
    runtime = "python3.13" if member == "SnapStart" else PYTHON
    function = deploy(CODE, Runtime=runtime, **{member: given})
    assert shown(client, function.name, member) == expected
    function.update(Description="another")
    assert shown(client, function.name, member) == expected, "an absent member changes nothing"
    function.update(**{member: clear})
    assert shown(client, function.name, member) == cleared
    function.update(**{member: given})
    assert shown(client, function.name, member) == expected


def test_layers_are_listed_with_their_size_and_taken_away(client, deploy):
    package = zip_of({"python/shared.py": "WORD = 'of a layer'\n"})
    layer = client.publish_layer_version(LayerName=unique("l"), Content={"ZipFile": package})
    arn = layer["LayerVersionArn"]
    function = deploy("import shared\ndef handler(event, context):\n    return shared.WORD\n", Layers=[arn])
    assert shown(client, function.name, "Layers") == [{"Arn": arn, "CodeSize": len(package)}]
    assert function.call() == "of a layer"
    function.update(Layers=[])
    assert shown(client, function.name, "Layers") is None
    assert function.error()["errorType"] == "Runtime.ImportModuleError"


def test_a_layer_that_is_not_there_is_named(client):
    arn = f"arn:aws:lambda:{ACCOUNT}:layer:nowhere:1"
    expected = (400, "InvalidParameterValueException", f"Layer version {arn} does not exist.")
    assert refused(create, client, unique(), Layers=[arn]) == expected


def test_publish_with_the_create_makes_version_one(client):
    name = unique()
    made = create(client, name, Publish=True)
    try:
        arn = f"arn:aws:lambda:{ACCOUNT}:function:{name}"
        assert (made["Version"], made["FunctionArn"], made["State"]) == ("1", arn, "Pending")
        client.get_waiter("published_version_active").wait(FunctionName=name, Qualifier="1", WaiterConfig={"Delay": 1})
        assert client.get_function_configuration(FunctionName=name, Qualifier="1")["FunctionArn"] == f"{arn}:1"
        assert client.invoke(FunctionName=name, Qualifier="1")["ExecutedVersion"] == "1"
    finally:
        client.delete_function(FunctionName=name)


def test_functions_of_the_other_machine_are_kept_but_not_run(client, deploy):
    function = deploy(CODE, Architectures=["arm64"])
    assert shown(client, function.name, "Architectures") == ["arm64"]
    status, _, message = refused(client.invoke, FunctionName=function.name)
    assert status >= 400 and "arm64" in message
    client.update_function_code(FunctionName=function.name, ZipFile=PACKAGE, Architectures=["x86_64"])
    assert function.ready().call() == "one"


def test_images_are_kept_but_not_run(client):
    name = unique()
    config = {"EntryPoint": ["/run"], "Command": ["a", "b"], "WorkingDirectory": "/tmp"}
    made = client.create_function(FunctionName=name, Role=ROLE, PackageType="Image", Code={"ImageUri": IMAGE}, ImageConfig=config)
    try:
        assert (made["PackageType"], made["CodeSize"]) == ("Image", 0)
        assert made["ImageConfigResponse"] == {"ImageConfig": config}
        assert not {"Runtime", "Handler", "RuntimeVersionConfig"} & made.keys()
        client.get_waiter("function_active_v2").wait(FunctionName=name)
        code = client.get_function(FunctionName=name)["Code"]
        digest = hashlib.sha256(IMAGE.encode()).hexdigest()
        repository = IMAGE.removesuffix(":1")
        assert code == {"RepositoryType": "ECR", "ImageUri": IMAGE, "ResolvedImageUri": f"{repository}@sha256:{digest}"}
        status, _, message = refused(client.invoke, FunctionName=name)
        assert status >= 400 and "image" in message.lower()
        expected = "Please provide ImageUri when updating a function with packageType Image."
        call = {"FunctionName": name, "ZipFile": PACKAGE}
        assert refused(client.update_function_code, **call) == (400, "InvalidParameterValueException", expected)
        client.update_function_configuration(FunctionName=name, ImageConfig={})
        client.get_waiter("function_updated_v2").wait(FunctionName=name)
        assert shown(client, name, "ImageConfigResponse") is None
    finally:
        client.delete_function(FunctionName=name)


@pytest.mark.parametrize(
    "code, message",
    [
        (
            {"S3Bucket": "nobody-has-this-bucket", "S3Key": "key"},
            "Error occurred while GetObject. S3 Error Code: NoSuchBucket. S3 Error Message: The specified bucket does not exist",
        ),
        ({"ImageUri": IMAGE}, "Please don't provide ImageUri when creating a function with packageType Zip."),
        ({}, "Please provide a source for function code."),
    ],
    ids=["s3", "image", "nothing"],
)
def test_code_that_is_not_there_is_refused_in_lambdas_words(client, code, message):
    name = unique()
    assert refused(create, client, name, Code=code) == (400, "InvalidParameterValueException", message)
    assert refused(client.get_function, FunctionName=name)[0] == 404, "nothing is left of it"


NO_EFFECT = {
    "FileSystemConfigs": [{"Arn": f"arn:aws:elasticfilesystem:{ACCOUNT}:access-point/fsap-0123456789abcdef0", "LocalMountPath": "/mnt/x"}],
    "DurableConfig": {"ExecutionTimeout": 10},
    "CapacityProviderConfig": {"LambdaManagedInstancesCapacityProviderConfig": {"CapacityProviderArn": f"arn:aws:lambda:{ACCOUNT}:capacity-provider:c"}},
    "PublishTo": "LATEST_PUBLISHED",
}
CREATE_ONLY = {"PublishTo"}


@pytest.mark.parametrize("member", NO_EFFECT)
def test_a_member_without_effect_is_refused_by_name(client, deploy, member):
    name, given = unique(), {member: NO_EFFECT[member]}
    errors = [refused(create, client, name, **given)]
    assert refused(client.get_function, FunctionName=name)[0] == 404, "nothing is left of it"
    if member not in CREATE_ONLY:
        errors.append(refused(client.update_function_configuration, FunctionName=deploy(CODE).name, **given))
    for status, _, message in errors:
        assert status == 501
        assert message.startswith(f"{member} is not supported by this version of Hearth"), message


@pytest.mark.parametrize(
    "given, message",
    [
        ({"SecurityGroupIds": ["sg-0"], "SubnetIds": ["subnet-0"]}, "DescribeSecurityGroups. EC2 Error Code: InvalidGroup.NotFound. EC2 Error Message: The security group 'sg-0' does not exist"),
        ({"SecurityGroupIds": [], "SubnetIds": ["subnet-0"]}, "DescribeSubnets. EC2 Error Code: InvalidSubnetID.NotFound. EC2 Error Message: The subnet ID 'subnet-0' does not exist"),
    ],
    ids=["group", "subnet"],
)
def test_there_is_no_vpc(client, given, message):
    expected = (400, "InvalidParameterValueException", f"Error occurred while {message}")
    assert refused(create, client, unique(), VpcConfig=given) == expected


@pytest.mark.parametrize(
    "operation, args",
    [
        ("list_capacity_providers", {}),
        ("get_durable_execution", {"DurableExecutionArn": f"arn:aws:lambda:{ACCOUNT}:function:f:1/durable-execution/n/i"}),
    ],
)
def test_an_operation_that_is_not_there_is_named(client, operation, args):
    status, _, message = refused(getattr(client, operation), **args)
    assert status == 501
    assert operation.replace("_", "") in message.lower()

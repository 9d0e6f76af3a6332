"""Parameters as functions and deploy tools use them; and who the caller is."""

import pytest

from conftest import service_on, unique
from support.clients import service_of
from support.errors import refusal_code

ACCOUNT = "000000000000"


ssm = service_on("server", "ssm")


@pytest.fixture
def root(ssm):
    """A path of its own."""
    root = f"/{unique('p')}"
    yield root
    names = [p["Name"] for page in ssm.get_paginator("get_parameters_by_path").paginate(Path=root, Recursive=True) for p in page["Parameters"]]
    for start in range(0, len(names), 10):
        ssm.delete_parameters(Names=names[start : start + 10])


def test_a_parameter_has_versions(ssm, root):
    name = f"{root}/url"
    assert ssm.put_parameter(Name=name, Value="one", Type="String", Description="d")["Version"] == 1
    assert refusal_code(ssm.put_parameter, Name=name, Value="two", Type="String") == "ParameterAlreadyExists"
    put = ssm.put_parameter(Name=name, Value="two", Overwrite=True)
    assert (put["Version"], put["Tier"]) == (2, "Standard")
    shown = ssm.get_parameter(Name=name)["Parameter"]
    arn = f"arn:aws:ssm:us-east-1:{ACCOUNT}:parameter{name}"
    assert (shown["Value"], shown["Version"], shown["ARN"], shown["DataType"]) == ("two", 2, arn, "text")
    assert ssm.get_parameter(Name=arn)["Parameter"]["Value"] == "two"
    first = ssm.get_parameter(Name=f"{name}:1")["Parameter"]
    assert (first["Value"], first["Selector"]) == ("one", ":1")
    assert refusal_code(ssm.get_parameter, Name=f"{name}:3") == "ParameterVersionNotFound"
    history = ssm.get_parameter_history(Name=name)["Parameters"]
    assert [(v["Version"], v["Value"], v["Description"]) for v in history] == [(1, "one", "d"), (2, "two", "d")]
    assert history[0]["LastModifiedUser"] == f"arn:aws:iam::{ACCOUNT}:root"

    ssm.label_parameter_version(Name=name, ParameterVersion=1, Labels=["live"])
    assert ssm.get_parameter(Name=f"{name}:live")["Parameter"]["Version"] == 1
    assert ssm.label_parameter_version(Name=name, Labels=["live", "1x"])["InvalidLabels"] == ["1x"]
    assert ssm.get_parameter(Name=f"{name}:live")["Parameter"]["Version"] == 2
    assert ssm.unlabel_parameter_version(Name=name, ParameterVersion=2, Labels=["live"])["RemovedLabels"] == ["live"]
    assert refusal_code(ssm.get_parameter, Name=f"{name}:live") == "ParameterVersionNotFound"

    ssm.delete_parameter(Name=name)
    assert refusal_code(ssm.get_parameter, Name=name) == refusal_code(ssm.delete_parameter, Name=name) == "ParameterNotFound"
    assert ssm.put_parameter(Name=name, Value="new", Type="String")["Version"] == 1
    assert refusal_code(ssm.get_parameter, Name=f"{name}:2") == "ParameterVersionNotFound"


def test_only_the_last_hundred_versions_are_kept(ssm, root):
    name = f"{root}/many"
    ssm.put_parameter(Name=name, Value="1", Type="String")
    for number in range(2, 103):
        ssm.put_parameter(Name=name, Value=str(number), Overwrite=True)
    versions = [v["Version"] for page in ssm.get_paginator("get_parameter_history").paginate(Name=name) for v in page["Parameters"]]
    assert versions == list(range(3, 103))
    ssm.label_parameter_version(Name=name, ParameterVersion=3, Labels=["old"])
    assert refusal_code(ssm.put_parameter, Name=name, Value="x", Overwrite=True) == "ParameterMaxVersionLimitExceeded"


def test_a_secure_string_is_kept_sealed(alone):
    server = alone()
    ssm = service_of(server, "ssm")
    secret = "correct horse battery staple"
    for value in ("first", secret):
        ssm.put_parameter(Name="/db/password", Value=value, Type="SecureString", Overwrite=True)
    ssm.put_parameter(Name="plain", Value="a,b", Type="StringList")
    sealed = ssm.get_parameter(Name="/db/password")["Parameter"]
    assert sealed["Type"] == "SecureString" and secret not in sealed["Value"]
    assert ssm.get_parameter(Name="/db/password", WithDecryption=True)["Parameter"]["Value"] == secret
    both = ssm.get_parameters(Names=["/db/password", "plain", "/none"], WithDecryption=True)
    assert [p["Value"] for p in both["Parameters"]] == [secret, "a,b"] and both["InvalidParameters"] == ["/none"]
    server.kill()
    written = b"".join(path.read_bytes() for path in server.data.rglob("meta.db*"))
    assert b"/db/password" in written and secret.encode() not in written
    server.start()
    ssm = service_of(server, "ssm")
    history = ssm.get_parameter_history(Name="/db/password", WithDecryption=True)["Parameters"]
    assert [(v["Value"], v["KeyId"]) for v in history] == [("first", "alias/aws/ssm"), (secret, "alias/aws/ssm")]


def test_paths_hold_parameters(ssm, root):
    for name in ("a", "b", "c/d", "c/e"):
        ssm.put_parameter(Name=f"{root}/{name}", Value=name, Type="String")
    ssm.put_parameter(Name=f"{root}x", Value="beside", Type="String")
    try:
        by_path = lambda **args: [p["Value"] for page in ssm.get_paginator("get_parameters_by_path").paginate(Path=root, **args) for p in page["Parameters"]]
        assert by_path() == ["a", "b"]
        assert by_path(Recursive=True, PaginationConfig={"PageSize": 3}) == ["a", "b", "c/d", "c/e"]
        filters = [{"Key": "Path", "Option": "Recursive", "Values": [root]}]
        described = ssm.describe_parameters(ParameterFilters=filters)["Parameters"]
        assert [p["Name"] for p in described] == [f"{root}/{name}" for name in ("a", "b", "c/d", "c/e")]
        contains = [{"Key": "Name", "Option": "BeginsWith", "Values": [root[1:] + "/c"]}]
        assert len(ssm.describe_parameters(ParameterFilters=contains)["Parameters"]) == 2
        assert refusal_code(ssm.describe_parameters, ParameterFilters=[{"Key": "Name", "Option": "Like", "Values": ["x"]}]) == "InvalidFilterOption"
        assert refusal_code(ssm.get_parameters_by_path, Path=root, NextToken="x") == "InvalidNextToken"
    finally:
        ssm.delete_parameter(Name=f"{root}x")


def test_what_is_no_parameter_is_refused(ssm, root):
    put = lambda **args: refusal_code(ssm.put_parameter, **{"Name": f"{root}/x", "Value": "v", "Type": "String", **args})
    assert put(Name="no/slash") == "ValidationException"
    assert put(Name="/aws/own") == "AccessDeniedException"
    assert put(Value="") == "ValidationException"
    assert put(Value="x" * 4097) == "ValidationException"
    assert put(AllowedPattern="^[0-9]+$") == "ParameterPatternMismatchException"
    assert put(Type="SecureString", KeyId="alias/own") == "InvalidKeyId"
    assert put(Tier="Advanced", Policies='[{"Type":"Expiration"}]') == "NotImplementedException"
    assert put(DataType="aws:ec2:image") == "ValidationException"
    assert ssm.put_parameter(Name=f"{root}/x", Value="x" * 8192, Type="String", Tier="Intelligent-Tiering")["Tier"] == "Advanced"
    assert put(Overwrite=True, Type="SecureString") == "HierarchyTypeMismatchException"


def test_parameters_have_tags(ssm, root):
    name = f"{root}/tagged"
    ssm.put_parameter(Name=name, Value="v", Type="String", Tags=[{"Key": "a", "Value": "1"}])
    ssm.add_tags_to_resource(ResourceType="Parameter", ResourceId=name, Tags=[{"Key": "b", "Value": "2"}])
    ssm.remove_tags_from_resource(ResourceType="Parameter", ResourceId=name, TagKeys=["a"])
    assert ssm.list_tags_for_resource(ResourceType="Parameter", ResourceId=name)["TagList"] == [{"Key": "b", "Value": "2"}]
    found = ssm.describe_parameters(ParameterFilters=[{"Key": "tag:b", "Values": ["2"]}])["Parameters"]
    assert name in [p["Name"] for p in found]
    assert refusal_code(ssm.list_tags_for_resource, ResourceType="Parameter", ResourceId=f"{root}/none") == "InvalidResourceId"


def test_the_command_line_and_who_it_is(aws, root):
    aws("ssm", "put-parameter", "--name", f"{root}/cli", "--type", "SecureString", "--value", "v")
    assert aws("ssm", "get-parameter", "--name", f"{root}/cli", "--with-decryption", "--query", "Parameter.Value") == "v"
    who = aws("sts", "get-caller-identity")
    assert who == {"UserId": ACCOUNT, "Account": ACCOUNT, "Arn": f"arn:aws:iam::{ACCOUNT}:root"}


def test_credentials_of_a_role(server):
    sts, iam = service_of(server, "sts"), service_of(server, "iam")
    name = unique("assumed")
    trust = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"%s"},"Action":"sts:AssumeRole"}]}' % ACCOUNT
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust)["Role"]
    try:
        answer = sts.assume_role(RoleArn=role["Arn"], RoleSessionName="session", DurationSeconds=900)
        assert answer["AssumedRoleUser"] == {"AssumedRoleId": f"{role['RoleId']}:session", "Arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/{name}/session"}
        credentials = answer["Credentials"]
        assert credentials["AccessKeyId"].startswith("ASIA") and len(credentials["SecretAccessKey"]) == 40
        assert refusal_code(sts.assume_role, RoleArn=role["Arn"], RoleSessionName="session", DurationSeconds=7200) == "ValidationError"
        assert refusal_code(sts.assume_role, RoleArn="arn:aws:iam::aws:nothing/at-all", RoleSessionName="session") == "ValidationError"
        assert refusal_code(sts.assume_role, RoleArn=role["Arn"], RoleSessionName="session", Policy="{") == "MalformedPolicyDocument"
        assert refusal_code(sts.assume_role, RoleArn=role["Arn"], RoleSessionName="session", SourceIdentity="me") == "NotImplemented"
    finally:
        iam.delete_role(RoleName=name)

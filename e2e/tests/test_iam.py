"""IAM as deploy tools use it: roles with their policies, managed policies with their versions."""

import json

import pytest

from conftest import service_on, unique
from support.clients import service_of
from support.errors import refused

ACCOUNT = "000000000000"
BASIC = "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"
TRUST = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}]}
LOGS = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "logs:*", "Resource": "*"}]}


iam = service_on("server", "iam")


@pytest.fixture
def role(iam):
    name = unique("role")
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(TRUST))
    yield name
    remove_role(iam, name)


def remove_role(iam, name):
    try:
        for policy in iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]:
            iam.detach_role_policy(RoleName=name, PolicyArn=policy["PolicyArn"])
        for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]:
            iam.delete_role_policy(RoleName=name, PolicyName=policy)
        iam.delete_role(RoleName=name)
    except iam.exceptions.NoSuchEntityException:
        pass


def test_a_role_is_made_shown_changed_and_deleted(iam):
    name = unique("Role")
    made = iam.create_role(
        RoleName=name, Path="/team/", AssumeRolePolicyDocument=json.dumps(TRUST), Description="a & b", MaxSessionDuration=7200, Tags=[{"Key": "k", "Value": "v"}]
    )["Role"]
    assert made["Arn"] == f"arn:aws:iam::{ACCOUNT}:role/team/{name}"
    assert made["RoleId"].startswith("AROA") and len(made["RoleId"]) == 21
    assert made["AssumeRolePolicyDocument"] == TRUST

    iam.get_waiter("role_exists").wait(RoleName=name)
    shown = iam.get_role(RoleName=name)["Role"]
    assert {**shown, "RoleLastUsed": None} == {**made, "RoleLastUsed": None}
    assert (shown["Description"], shown["MaxSessionDuration"], shown["Tags"]) == ("a & b", 7200, [{"Key": "k", "Value": "v"}])
    assert [role["RoleName"] for role in iam.list_roles(PathPrefix="/team/")["Roles"] if role["RoleName"] == name] == [name]
    assert name not in [role["RoleName"] for role in iam.list_roles(PathPrefix="/other/")["Roles"]]

    trust = json.dumps({**TRUST, "Version": "2008-10-17"})
    iam.update_assume_role_policy(RoleName=name, PolicyDocument=trust)
    iam.update_role(RoleName=name, MaxSessionDuration=3600)
    iam.update_role_description(RoleName=name, Description="other")
    shown = iam.get_role(RoleName=name)["Role"]
    assert (shown["AssumeRolePolicyDocument"]["Version"], shown["MaxSessionDuration"], shown["Description"]) == ("2008-10-17", 3600, "other")

    assert iam.list_instance_profiles_for_role(RoleName=name)["InstanceProfiles"] == []
    iam.delete_role(RoleName=name)
    gone = (404, "NoSuchEntity", f"The role with name {name} cannot be found.")
    assert refused(iam.get_role, RoleName=name) == refused(iam.delete_role, RoleName=name) == gone


def test_what_is_no_role_is_refused(iam, role):
    again = refused(iam.create_role, RoleName=role.upper(), AssumeRolePolicyDocument=json.dumps(TRUST))
    assert again == (409, "EntityAlreadyExists", f"Role with name {role.upper()} already exists.")
    malformed = refused(iam.create_role, RoleName=unique(), AssumeRolePolicyDocument="{")
    assert malformed[:2] == (400, "MalformedPolicyDocument")
    status, code, text = refused(iam.create_role, RoleName="a/b", AssumeRolePolicyDocument=json.dumps(TRUST))
    assert (status, code) == (400, "ValidationError") and "'roleName'" in text
    boundary = refused(iam.create_role, RoleName=unique(), AssumeRolePolicyDocument=json.dumps(TRUST), PermissionsBoundary=BASIC)
    assert boundary[0] == 501 and "PermissionsBoundary" in boundary[2]
    assert "CreateServiceLinkedRole" in refused(iam.create_service_linked_role, AWSServiceName="lambda.amazonaws.com")[2]


def test_policies_of_a_role(iam, role):
    iam.put_role_policy(RoleName=role, PolicyName="own", PolicyDocument=json.dumps(LOGS))
    assert iam.list_role_policies(RoleName=role)["PolicyNames"] == ["own"]
    assert iam.get_role_policy(RoleName=role, PolicyName="own")["PolicyDocument"] == LOGS
    missing = (404, "NoSuchEntity", "The role policy with name other cannot be found.")
    assert refused(iam.get_role_policy, RoleName=role, PolicyName="other") == refused(iam.delete_role_policy, RoleName=role, PolicyName="other") == missing
    conflict = refused(iam.delete_role, RoleName=role)
    assert conflict == (409, "DeleteConflict", "Cannot delete entity, must delete policies first.")
    large = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "logs:*", "Resource": "arn:aws:logs:" + "x" * 10240}]})
    assert refused(iam.put_role_policy, RoleName=role, PolicyName="large", PolicyDocument=large)[1] == "LimitExceeded"

    for _ in range(2):
        iam.attach_role_policy(RoleName=role, PolicyArn=BASIC)
    assert iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"] == [{"PolicyName": "AWSLambdaBasicExecutionRole", "PolicyArn": BASIC}]
    conflict = refused(iam.delete_role, RoleName=role)
    assert conflict == (409, "DeleteConflict", "Cannot delete entity, must detach all policies first.")
    unknown = f"arn:aws:iam::{ACCOUNT}:policy/none"
    assert refused(iam.attach_role_policy, RoleName=role, PolicyArn=unknown) == (404, "NoSuchEntity", f"Policy {unknown} does not exist or is not attachable.")
    assert refused(iam.detach_role_policy, RoleName=role, PolicyArn=unknown) == (404, "NoSuchEntity", f"Policy {unknown} was not found.")


def test_a_managed_policy_and_its_versions(iam, role):
    name = unique("policy")
    arn = iam.create_policy(PolicyName=name, PolicyDocument=json.dumps(LOGS), Description="d")["Policy"]["Arn"]
    assert arn == f"arn:aws:iam::{ACCOUNT}:policy/{name}"
    assert refused(iam.create_policy, PolicyName=name, PolicyDocument=json.dumps(LOGS))[1] == "EntityAlreadyExists"
    iam.attach_role_policy(RoleName=role, PolicyArn=arn)
    shown = iam.get_policy(PolicyArn=arn)["Policy"]
    assert (shown["DefaultVersionId"], shown["AttachmentCount"], shown["Description"]) == ("v1", 1, "d")
    entities = iam.list_entities_for_policy(PolicyArn=arn)
    assert [entity["RoleName"] for entity in entities["PolicyRoles"]] == [role]
    assert refused(iam.delete_policy, PolicyArn=arn) == (409, "DeleteConflict", "Cannot delete a policy attached to entities.")
    iam.detach_role_policy(RoleName=role, PolicyArn=arn)

    for _ in range(4):
        version = iam.create_policy_version(PolicyArn=arn, PolicyDocument=json.dumps(LOGS), SetAsDefault=True)["PolicyVersion"]
    assert (version["VersionId"], version["IsDefaultVersion"]) == ("v5", True)
    assert refused(iam.create_policy_version, PolicyArn=arn, PolicyDocument=json.dumps(LOGS))[1] == "LimitExceeded"
    versions = iam.get_paginator("list_policy_versions").paginate(PolicyArn=arn, PaginationConfig={"PageSize": 2})
    assert [v["VersionId"] for page in versions for v in page["Versions"]] == ["v5", "v4", "v3", "v2", "v1"]
    assert refused(iam.delete_policy_version, PolicyArn=arn, VersionId="v5")[1] == "DeleteConflict"
    assert refused(iam.delete_policy, PolicyArn=arn)[2].startswith("This policy has more than one version.")
    iam.set_default_policy_version(PolicyArn=arn, VersionId="v1")
    for number in range(2, 6):
        iam.delete_policy_version(PolicyArn=arn, VersionId=f"v{number}")
    assert iam.get_policy_version(PolicyArn=arn, VersionId="v1")["PolicyVersion"]["Document"] == LOGS
    assert refused(iam.get_policy_version, PolicyArn=arn, VersionId="v2")[1] == "NoSuchEntity"
    iam.delete_policy(PolicyArn=arn)
    assert refused(iam.get_policy, PolicyArn=arn) == (404, "NoSuchEntity", f"Policy {arn} was not found.")


def test_policies_of_aws(iam):
    shown = iam.get_policy(PolicyArn=BASIC)["Policy"]
    assert (shown["PolicyName"], shown["Path"]) == ("AWSLambdaBasicExecutionRole", "/service-role/")
    document = iam.get_policy_version(PolicyArn=BASIC, VersionId=shown["DefaultVersionId"])["PolicyVersion"]["Document"]
    assert "logs:PutLogEvents" in document["Statement"][0]["Action"]
    names = [policy["PolicyName"] for page in iam.get_paginator("list_policies").paginate(Scope="AWS", PaginationConfig={"PageSize": 7}) for policy in page["Policies"]]
    assert "AWSLambdaBasicExecutionRole" in names and len(names) == len(set(names))
    assert refused(iam.delete_policy, PolicyArn=BASIC)[:2] == (403, "AccessDenied")


def test_tags(iam, role):
    iam.tag_role(RoleName=role, Tags=[{"Key": "Stage", "Value": "1"}, {"Key": "b", "Value": "2"}])
    iam.tag_role(RoleName=role, Tags=[{"Key": "stage", "Value": "3"}])
    assert iam.list_role_tags(RoleName=role)["Tags"] == [{"Key": "b", "Value": "2"}, {"Key": "stage", "Value": "3"}]
    iam.untag_role(RoleName=role, TagKeys=["b"])
    assert iam.get_role(RoleName=role)["Role"]["Tags"] == [{"Key": "stage", "Value": "3"}]
    assert refused(iam.tag_role, RoleName=role, Tags=[{"Key": "a", "Value": ""}, {"Key": "A", "Value": ""}])[1] == "InvalidInput"


def test_lists_go_on_behind_their_markers(iam):
    names = sorted(unique("paged") for _ in range(5))
    try:
        for name in names:
            iam.create_role(RoleName=name, Path="/paged/", AssumeRolePolicyDocument=json.dumps(TRUST))
        pages = list(iam.get_paginator("list_roles").paginate(PathPrefix="/paged/", PaginationConfig={"PageSize": 2}))
        assert [len(page["Roles"]) for page in pages] == [2, 2, 1]
        assert [role["RoleName"] for page in pages for role in page["Roles"]] == names
        assert refused(iam.list_roles, Marker="x") == (400, "ValidationError", "Invalid Marker.")
    finally:
        for name in names:
            remove_role(iam, name)


def test_roles_survive_a_restart(alone):
    server = alone()
    iam = lambda: service_of(server, "iam")
    made = iam().create_role(RoleName="kept", AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]
    server.kill()
    server.start()
    assert iam().get_role(RoleName="kept")["Role"]["RoleId"] == made["RoleId"]


def test_the_command_line_makes_a_role_for_a_function(aws, iam, tmp_path):
    name = unique("cli")
    (tmp_path / "trust.json").write_text(json.dumps(TRUST))
    made = aws("iam", "create-role", "--role-name", name, "--assume-role-policy-document", "file://trust.json")
    try:
        aws("iam", "attach-role-policy", "--role-name", name, "--policy-arn", BASIC)
        aws("iam", "wait", "role-exists", "--role-name", name)
        assert aws("iam", "get-role", "--role-name", name, "--query", "Role.Arn") == made["Role"]["Arn"]
        assert aws("iam", "get-user", "--query", "User.Arn") == f"arn:aws:iam::{ACCOUNT}:root"
        assert aws("iam", "list-account-aliases") == {"AccountAliases": []}
    finally:
        remove_role(iam, name)

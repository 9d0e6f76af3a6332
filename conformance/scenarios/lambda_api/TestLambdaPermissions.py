"""Resource policies of functions, versions and aliases."""

INVOKE = "lambda:InvokeFunction"


def test_add_lambda_permission_fields(s):
    name = s.function()["FunctionName"]
    user = f"arn:aws:iam::{s.account}:user/{s.name('user')}"
    s.given_as(user_arn=user)
    source = f"arn:aws:s3:::{s.name('bucket')}"
    for step, sid, args in (
        ("principal_wildcard", "wilcard", {"Principal": "*", "SourceAccount": s.account}),
        ("principal_service", "lambda", {"Principal": "lambda.amazonaws.com", "SourceAccount": s.account}),
        ("principal_account", "account-id", {"Principal": s.account}),
        ("principal_arn", "user-arn", {"Principal": user, "SourceAccount": s.account}),
        (
            "optional_fields",
            "urlPermission",
            {
                "Action": "lambda:InvokeFunctionUrl",
                "Principal": "*",
                "SourceArn": source,
                "SourceAccount": s.account,
                "PrincipalOrgID": "o-1234567890",
                "FunctionUrlAuthType": "NONE",
            },
        ),
        ("alexa_skill", "alexaSkill", {"Principal": "*", "EventSourceToken": "amzn1.ask.skill.xxxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx"}),
    ):
        add(s, f"add_permission_{step}", name, sid, **args)


def test_create_multiple_lambda_permissions(s):
    name = s.function()["FunctionName"]
    add(s, "add_permission_response_1", name, "logs", Principal="logs.amazonaws.com")
    add(s, "add_permission_response_2", name, "kinesis", Principal="kinesis.amazonaws.com")
    s.step("policy_after_2_add", "get_policy", FunctionName=name)


def test_lambda_permission_fn_versioning(s):
    name, alias = s.name(), "permission-alias"
    s.function(FunctionName=name)
    s3 = {"Principal": "s3.amazonaws.com", "SourceArn": f"arn:aws:s3:::{s.name('bucket')}"}
    add(s, "add_permission", name, "s3", **s3)
    s.step("get_policy", "get_policy", FunctionName=name)
    s.step("publish_version_result", "publish_version", FunctionName=name)
    s.step("get_function_result_after_publishing", "get_function", FunctionName=name)
    s.step("get_policy_after_publishing_latest", "get_policy", FunctionName=name)
    s.step("get_policy_after_publishing_new_version", "get_policy", FunctionName=name, Qualifier="1")
    s.call("add_permission", FunctionName=name, StatementId="s3", Action=INVOKE, Qualifier="1", **s3)
    s.step("get_policy_version", "get_policy", FunctionName=name, Qualifier="1")
    s.step("create_alias_response", "create_alias", FunctionName=name, Name=alias, FunctionVersion="1")
    read = s.step("get_alias", "get_alias", FunctionName=name, Name=alias)
    step = "add_permission_alias_revision_exception"
    add(s, step, name, "s3", Qualifier=alias, RevisionId="wrong-revision-id", **s3)
    args = {"Qualifier": alias, "RevisionId": read["RevisionId"], **s3}
    s.call("add_permission", FunctionName=name, StatementId="s3", Action=INVOKE, **args)
    s.step("get_policy_alias", "get_policy", FunctionName=name, Qualifier=alias)
    s.step("get_policy_after_adding_to_new_version", "get_policy", FunctionName=name)
    s.call("add_permission", FunctionName=name, StatementId="s3_2", Action=INVOKE, **s3)
    s.step("get_policy_after_adding_2", "get_policy", FunctionName=name)


def test_permission_exceptions(s):
    name = s.name()
    s.function(FunctionName=name)
    s.given_as(function_name=name)
    s3 = {"Principal": "s3.amazonaws.com"}
    add(s, "add_permission_invalid_statement_id", name, "example.com", **s3)
    add(s, "add_permission_fn_qualifier_mismatch", f"{name}:alias-not-42", "s3", Qualifier="42", **s3)
    add(s, "add_permission_fn_qualifier_latest", name, "s3", Qualifier="$LATEST", **s3)
    add(s, "add_permission_principal_invalid", name, "s3", Principal="invalid.nonaws.com")
    s.step("get_policy_fn_doesnotexist", "get_policy", FunctionName="doesnotexist")
    s.step("get_policy_fn_version_doesnotexist", "get_policy", FunctionName=name, Qualifier="77")
    add(s, "add_permission_fn_doesnotexist", "doesnotexist", "s3", **s3)
    remove(s, "remove_permission_policy_doesnotexist", name, "s3")
    add(s, "add_permission_fn_alias_doesnotexist", name, "s3", Qualifier="alias-doesnotexist", **s3)
    add(s, "add_permission_fn_version_doesnotexist", name, "s3", Qualifier="42", **s3)
    add(s, "add_permission_fn_qualifier_invalid", name, "s3", Qualifier="invalid-qualifier-with-?-char", **s3)
    step = "add_permission_fn_qualifier_valid_doesnotexist"
    add(s, step, name, "s3", Qualifier="valid-with-$-but-doesnotexist", **s3)
    s.call("add_permission", FunctionName=name, StatementId="s3", Action=INVOKE, **s3)
    add(s, "add_permission_conflicting_statement_id", name, "s3", Principal="sns.amazonaws.com")
    remove(s, "remove_permission_fn_doesnotexist", "doesnotexist", "s3")
    remove(s, "remove_permission_fn_alias_doesnotexist", name, "s3", Qualifier="alias-doesnotexist")


def test_remove_multi_permissions(s):
    name = s.name()
    s.function(FunctionName=name)
    add(s, "add_permission_1", name, "s3", Principal="s3.amazonaws.com")
    source = f"arn:aws:s3:::{s.name('bucket')}"
    add(s, "add_permission_2", name, "sqs", Principal="sqs.amazonaws.com", SourceArn=source)
    policy = s.step("policy_after_2_add", "get_policy", FunctionName=name)
    remove(s, "remove_permission_exception_nonexisting_sid", name, "non-existent")
    s.call("remove_permission", FunctionName=name, StatementId="sqs", RevisionId=policy["RevisionId"])
    policy = s.step("policy_after_removal", "get_policy", FunctionName=name)
    s.attempt("remove_permission", FunctionName=name, StatementId="sqs", RevisionId=policy["RevisionId"])
    s.step("policy_after_removal_attempt", "get_policy", FunctionName=name)
    s.call("remove_permission", FunctionName=name, StatementId="s3", RevisionId=policy["RevisionId"])
    s.step("get_policy_exception_removed_all", "get_policy", FunctionName=name)


def add(s, step, name, sid, **args):
    s.step(step, "add_permission", FunctionName=name, StatementId=sid, **{"Action": INVOKE, **args})


def remove(s, step, name, sid, **args):
    s.step(step, "remove_permission", FunctionName=name, StatementId=sid, **args)

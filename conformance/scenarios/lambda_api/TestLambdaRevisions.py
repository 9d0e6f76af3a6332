"""Revision ids: when they change, and what a wrong one does."""

WRONG = "wrong-revision-id"


def test_function_revisions_permissions(s):
    name = s.function()["FunctionName"]
    args = {"StatementId": "s3", "Action": "lambda:InvokeFunction", "Principal": "s3.amazonaws.com"}
    s.call("add_permission", FunctionName=name, **args)
    args = {**args, "StatementId": "s3_2", "RevisionId": WRONG}
    s.step("add_permission_revision_exception", "add_permission", FunctionName=name, **args)


def test_function_revisions_version_and_alias(s):
    name, alias = s.name(), "revision_alias"
    s.function(FunctionName=name, step="create_function_response_rev1")
    latest = s.step("get_function_active_rev2", "get_function", FunctionName=name)
    s.step("publish_version_revision_exception", "publish_version", FunctionName=name, RevisionId=WRONG)
    revision = latest["Configuration"]["RevisionId"]
    s.step("publish_version_response_rev_v1", "publish_version", FunctionName=name, RevisionId=revision)
    s.step("get_function_published_version_rev_v2", "get_function", FunctionName=name, Qualifier="1")
    s.step("get_function_latest_rev3", "get_function", FunctionName=name)
    made = s.step("create_alias_response_rev_a1", "create_alias", FunctionName=name, Name=alias, FunctionVersion="1")
    s.step("get_function_latest_rev4", "get_function", FunctionName=name)
    s.step("get_function_published_version_rev_v3", "get_function", FunctionName=name, Qualifier="1")
    change = {"FunctionName": name, "Name": alias, "Description": "something changed"}
    s.step("update_alias_revision_exception", "update_alias", **change, RevisionId=WRONG)
    s.step("update_alias_response_rev_a2", "update_alias", **change, RevisionId=made["RevisionId"])

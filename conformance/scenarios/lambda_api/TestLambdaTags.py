"""Tags on functions: limits and errors."""

from harness.scenario import zip_of


def test_tag_exceptions(s):
    arn = s.function()["FunctionArn"]
    tags = {"key_a": "value_a"}
    unknown = f"arn:aws:lambda:{s.region}:{s.account}:function:doesnotexist"
    s.step("tag_lambda_invalidarn", "tag_resource", Resource="arn:aws:something", Tags=tags)
    s.step("tag_lambda_doesnotexist", "tag_resource", Resource=unknown, Tags=tags)
    s.step("tag_lambda_qualifier_doesnotexist", "tag_resource", Resource=f"{arn}:v1", Tags=tags)
    s.step("list_tag_lambda_empty", "list_tags", Resource=arn)
    s.step("untag_nomatch", "untag_resource", Resource=arn, TagKeys=["somekey"])
    s.step("untag_empty_keys", "untag_resource", Resource=arn, TagKeys=[])
    s.step("tag_empty_tags", "tag_resource", Resource=arn, Tags={})


def test_tag_limits(s):
    created = s.function()
    arn, name = created["FunctionArn"], created["FunctionName"]
    s.step("tag_lambda_too_many_tags", "tag_resource", Resource=arn, Tags=tags(51))
    s.step("tag_response", "tag_resource", Resource=arn, Tags=tags(50))
    s.step("list_tags_response", "list_tags", Resource=arn)
    s.step("get_fn_response", "get_function", FunctionName=name)
    s.step("tag_lambda_too_many_tags_additional", "tag_resource", Resource=arn, Tags={"a_key": "a_value"})
    code = {"ZipFile": zip_of({"handler.py": "def handler(event, context):\n    return event\n"})}
    fixed = {"Runtime": "python3.12", "Handler": "handler.handler", "Role": s.role, "Code": code}
    s.step("create_function_invalid_tags", "create_function", FunctionName=s.name(), Tags=tags(51), **fixed)


def test_tag_lifecycle(s):
    created = s.function(Tags={"key_a": "value_a"})
    arn, name = created["FunctionArn"], created["FunctionName"]
    look(s, "postfncreate", arn, name)
    more = {f"key_{c}": f"value_{c}" for c in "bcde"}
    s.step("tag_resource_response", "tag_resource", Resource=arn, Tags=more)
    look(s, "postaddtags", arn, name)
    s.step("tag_resource_overwrite", "tag_resource", Resource=arn, Tags={"key_b": "value_b", "key_c": "value_x"})
    look(s, "overwrite", arn, name)
    s.call("untag_resource", Resource=arn, TagKeys=["key_c", "key_d"])
    look(s, "postuntag", arn, name)
    s.call("untag_resource", Resource=arn, TagKeys=["key_a", "key_b", "key_e"])
    look(s, "postuntagall", arn, name)
    s.call("delete_function", FunctionName=name)
    s.step("list_tags_postdelete", "list_tags", Resource=arn)


def look(s, when, arn, name):
    s.step(f"list_tags_response_{when}", "list_tags", Resource=arn)
    s.step(f"get_fn_response_{when}", "get_function", FunctionName=name)


def tags(count):
    return {f"{n}_key": f"{n}_value" for n in range(count)}

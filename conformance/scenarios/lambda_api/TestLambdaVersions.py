"""Versions: what publishing makes, and when it makes nothing."""

from harness.scenario import zip_of

INDEX = zip_of({"index.py": "def handler(event, context):\n    return event\n"})


def test_publish_with_wrong_sha256(s):
    name = s.name()
    created = function(s, name)
    s.step("get_fn_response", "get_function", FunctionName=name)
    s.step("publish_wrong_sha256_exc", "publish_version", FunctionName=name, CodeSha256="somenonexistentsha256")
    s.step("publish_result", "publish_version", FunctionName=name, CodeSha256=created["CodeSha256"])


def test_version_lifecycle(s):
    name = s.name()
    function(s, name, Description="No version :(")
    s.step("get_function_result", "get_function", FunctionName=name)
    s.step("list_versions_result", "list_versions_by_function", FunctionName=name)
    describe(s, "first_update_response", name, "First version :)")
    s.updated(name)
    s.step("first_update_get_function", "get_function", FunctionName=name)
    text = "First version description :)"
    s.step("first_publish_response", "publish_version", FunctionName=name, Description=text)
    s.step("first_publish_get_function", "get_function", FunctionName=name, Qualifier="1")
    s.step("first_publish_get_function_config", "get_function_configuration", FunctionName=name, Qualifier="1")
    describe(s, "second_update_response", name, "Second version :))")
    s.updated(name)
    s.step("first_publish_get_function_after_update", "get_function", FunctionName=name, Qualifier="1")
    s.step("second_publish_response", "publish_version", FunctionName=name)
    s.step("third_publish_response", "publish_version", FunctionName=name)
    s.step("list_versions_result_after_third_publish", "list_versions_by_function", FunctionName=name)
    s.call("delete_function", FunctionName=name, Qualifier="1")
    s.step("list_versions_result_after_deletion_of_first_version", "list_versions_by_function", FunctionName=name)


def function(s, name, **args):
    fixed = {"Runtime": "python3.12", "Handler": "index.handler", "Role": s.role, "Code": {"ZipFile": INDEX}}
    created = s.step("create_response", "create_function", FunctionName=name, **fixed, **args)
    s.active(name)
    return created


def describe(s, step, name, text):
    s.step(step, "update_function_configuration", FunctionName=name, Description=text)

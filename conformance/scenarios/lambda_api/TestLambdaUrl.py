"""Function URLs."""

from harness.scenario import zip_of

NODE = zip_of({"lambda_handler.js": "exports.handler = async (event) => event;\n"})


def test_url_config_deletion_without_qualifier(s):
    name, alias = s.name(), "test-alias"
    s.function(NODE, FunctionName=name, Runtime="nodejs20.x", Handler="lambda_handler.handler")
    s.call("publish_version", FunctionName=name)
    s.call("create_alias", FunctionName=name, Name=alias, FunctionVersion="1")
    create, get = "create_function_url_config", "get_function_url_config"
    s.step("url_creation", create, FunctionName=name, AuthType="NONE")
    s.step("url_with_alias_creation", create, FunctionName=name, AuthType="NONE", Qualifier=alias)
    s.step("get_url_config", get, FunctionName=name)
    s.step("get_url_config_with_alias", get, FunctionName=name, Qualifier=alias)
    s.step("delete_function_url_config", "delete_function_url_config", FunctionName=name)
    s.step("get_url_config_after_deletion", get, FunctionName=name)
    s.step("get_url_config_with_alias_after_deletion", get, FunctionName=name, Qualifier=alias)


def test_url_config_exceptions(s):
    name, alias = s.name(), "urlalias"
    arn = s.function(NODE, FunctionName=name, Runtime="nodejs20.x", Handler="lambda_handler.handler")["FunctionArn"]
    s.step("fn_version_result", "publish_version", FunctionName=name)
    s.step("create_alias_result", "create_alias", FunctionName=name, Name=alias, FunctionVersion="1")
    for verb, args in (("create", {"AuthType": "NONE"}), ("get", {}), ("delete", {}), ("update", {"AuthType": "AWS_IAM"})):
        operation = f"{verb}_function_url_config"
        for step, function, qualifier in (
            ("name_doesnotexist", "doesnotexist", None),
            ("arn_doesnotexist", arn.replace(name, "doesnotexist"), None),
            ("name_doesnotexist_qualifier", "doesnotexist", "1"),
            ("qualifier_version", name, "1"),
            ("qualifier_version_doesnotexist", name, "2"),
            ("qualifier_alias_doesnotexist", name, "doesnotexist"),
            ("qualifier_alias_doesnotmatch_arn", f"{arn}:{alias}", "doesnotexist"),
            ("qualifier_latest", name, "$LATEST"),
        ):
            given = {"Qualifier": qualifier} if qualifier else {}
            if (verb, step) == ("delete", "qualifier_alias_doesnotmatch_arn"):
                # The service failed inside; that it refuses is all that was recorded.
                refused = s.attempt(operation, FunctionName=function, **given)
                s.take(f"{operation}_{step}", refused["Error"]["Code"])
                continue
            s.step(f"{operation}_{step}", operation, FunctionName=function, **given, **args)
        if verb != "create":
            s.step(f"{operation}_config_doesnotexist", operation, FunctionName=name, **args)

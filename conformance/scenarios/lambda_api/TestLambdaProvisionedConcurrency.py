"""Provisioned concurrency."""


def test_lambda_provisioned_lifecycle(s):
    name, alias = s.name(), s.name("alias")
    s.given_as(alias_name=alias)
    s.function(FunctionName=name)
    s.step("publish_version_result", "publish_version", FunctionName=name)
    s.step("create_alias_result", "create_alias", FunctionName=name, Name=alias, FunctionVersion="1")

    def put(step, qualifier):
        one = {"FunctionName": name, "Qualifier": qualifier, "ProvisionedConcurrentExecutions": 1}
        s.step(f"put_provisioned_on_{step}", "put_provisioned_concurrency_config", **one)

    def get(step, qualifier):
        s.step(step, "get_provisioned_concurrency_config", FunctionName=name, Qualifier=qualifier)

    put("version", "1")
    put("alias_versionconflict", alias)
    s.step("delete_provisioned_version", "delete_provisioned_concurrency_config", FunctionName=name, Qualifier="1")
    get("get_provisioned_version_postdelete", "1")
    put("alias", alias)
    put("version_conflict", "1")
    s.step("delete_alias_result", "delete_alias", FunctionName=name, Name=alias)
    get("get_provisioned_alias_postaliasdelete", alias)
    s.step("list_response_postdeletes", "list_provisioned_concurrency_configs", FunctionName=name)

"""Reserved and provisioned concurrency, and both together."""

PUT_RESERVED = "put_function_concurrency"
PUT, GET = "put_provisioned_concurrency_config", "get_provisioned_concurrency_config"


def test_lambda_concurrency_crud(s):
    name = s.function()["FunctionName"]
    get = "get_function_concurrency"
    s.step("get_function_concurrency_default", get, FunctionName=name)
    s.step("put_function_concurrency", PUT_RESERVED, FunctionName=name, ReservedConcurrentExecutions=0)
    s.step("get_function_concurrency_updated", get, FunctionName=name)
    s.call("delete_function_concurrency", FunctionName=name)
    s.step("get_function_concurrency_deleted", get, FunctionName=name)


def test_lambda_provisioned_concurrency_scheduling(s):
    name = s.function()["FunctionName"]
    version = {"FunctionName": name, "Qualifier": s.call("publish_version", FunctionName=name)["Version"]}
    s.call(PUT, **version, ProvisionedConcurrentExecutions=1)
    s.until(lambda: s.call(GET, **version)["Status"] != "IN_PROGRESS")
    s.step("get_provisioned_postwait", GET, **version)


def test_reserved_provisioned_overlap(s):
    name = s.name()
    s.function(FunctionName=name)
    first = {"FunctionName": name, "Qualifier": s.call("publish_version", FunctionName=name)["Version"]}
    s.step("put_provisioned_5", PUT, **first, ProvisionedConcurrentExecutions=2)
    s.step("get_provisioned_prewait", GET, **first)
    s.until(lambda: s.call(GET, **first)["Status"] != "IN_PROGRESS")
    s.step("get_provisioned_postwait", GET, **first)
    step = "reserved_lower_than_provisioned_exc"
    s.step(step, PUT_RESERVED, FunctionName=name, ReservedConcurrentExecutions=1)
    s.call(PUT_RESERVED, FunctionName=name, ReservedConcurrentExecutions=2)
    s.step("get_concurrency", "get_function_concurrency", FunctionName=name)
    s.invoke(name, {}, step="reserved_equals_provisioned_latest_invoke_exc")
    s.step("update_func_config", "update_function_configuration", FunctionName=name, Timeout=15)
    s.updated(name)
    second = {"FunctionName": name, "Qualifier": s.call("publish_version", FunctionName=name)["Version"]}
    step = "reserved_equals_provisioned_another_provisioned_exc"
    s.step(step, PUT, **second, ProvisionedConcurrentExecutions=1)
    step = "reserved_equals_provisioned_increase_provisioned_exc"
    s.step(step, PUT, **first, ProvisionedConcurrentExecutions=3)

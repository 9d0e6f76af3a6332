"""Detection of recursive loops."""


def test_put_function_recursion_config_allow(s):
    name = s.function()["FunctionName"]
    put = "put_function_recursion_config"
    s.step("put_recursion_config_response", put, FunctionName=name, RecursiveLoop="Allow")
    s.step("get_recursion_config_response", "get_function_recursion_config", FunctionName=name)


def test_put_function_recursion_config_default_terminate(s):
    name = s.function()["FunctionName"]
    s.step("get_recursion_default_terminate_response", "get_function_recursion_config", FunctionName=name)

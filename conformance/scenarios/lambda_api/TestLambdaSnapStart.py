"""SnapStart, and functions of runtimes that offer it."""

from harness.scenario import HANDLER, zip_of


def test_snapstart_exceptions(s):
    args = {"Runtime": "java21", "Handler": "echo.Handler", "SnapStart": {"ApplyOn": "invalidOption"}}
    s.step("create_function_invalid_snapstart_apply", "create_function", **usual(s, s.name()), **args)


def test_snapstart_lifecycle(s, runtime):
    name = s.name()
    handlers = {"java": "echo.Handler", "dotnet": "dotnet::Dotnet.Function::FunctionHandler", "python": "handler.handler"}
    handler = next(handler for word, handler in handlers.items() if runtime.startswith(word))
    args = {"Runtime": runtime, "Handler": handler, "MemorySize": 1024, "Timeout": 5}
    s.step("create_function_response", "create_function", **usual(s, name), **args)
    s.active(name)
    s.call("publish_version", FunctionName=name, Description="version1")
    s.wait("published_version_active", FunctionName=name, Qualifier="1")
    s.step("get_function_response_latest", "get_function", FunctionName=name)
    s.step("get_function_response_version_1", "get_function", FunctionName=f"{name}:1")


def usual(s, name):
    return {"FunctionName": name, "Role": s.role, "Code": {"ZipFile": zip_of({"handler.py": HANDLER})}}

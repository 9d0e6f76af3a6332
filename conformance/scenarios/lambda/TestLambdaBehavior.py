"""What a function finds: variables, limits, time, architecture."""

from harness.scenario import PYTHON, zip_of

ENVIRONMENT = """import os
def handler(event, context):
    return {"environment": dict(os.environ)}
"""
SLEEPS = """import time
def handler(event, context):
    time.sleep(event["sleep"])
"""
ULIMITS = """import resource
NAMES = "AS CORE CPU DATA FSIZE MEMLOCK NOFILE NPROC RSS STACK".split()
def handler(event, context):
    return {f"RLIMIT_{name}": resource.getrlimit(getattr(resource, f"RLIMIT_{name}")) for name in NAMES}
"""
ARCHITECTURE = "import platform\ndef handler(event, context):\n    return platform.machine()\n"


def test_lambda_init_environment(s):
    name = s.name()
    s.function(ENVIRONMENT, FunctionName=name, Runtime="python3.14", step="create-result")
    s.invoke(name, {}, step="lambda-init-inspection")


def test_lambda_invoke_no_timeout(s):
    name = s.name()
    s.function(SLEEPS, FunctionName=name, Timeout=2, step="create-result")
    s.invoke(name, {"sleep": 1}, step="invoke-result")


def test_mixed_architecture(s):
    name = s.name()
    s.function(ARCHITECTURE, FunctionName=name, Architectures=["x86_64"], step="create_function_response")
    args = {"ZipFile": zip_of({"handler.py": ARCHITECTURE}), "Architectures": ["arm64"]}
    s.step("update_function_code_response", "update_function_code", FunctionName=name, **args)


def test_runtime_ulimits(s):
    name = s.function(ULIMITS, Runtime=PYTHON)["FunctionName"]
    s.invoke(name, {}, step="invoke_runtime_ulimits")

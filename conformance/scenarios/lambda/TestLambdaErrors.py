"""Payloads that are no JSON, and functions that fail before they answer."""

from harness.scenario import zip_of

STARTUP = 'raise Exception("Runtime startup fails")\n'
SEGFAULT = "import ctypes\ndef handler(event, context):\n    ctypes.string_at(0)\n"


def test_lambda_invoke_payload_encoding_error(s, case):
    name = s.function()["FunctionName"]
    word, payload = case.split("-", 1)
    payload = payload.encode("latin-1").decode("unicode_escape").encode("latin-1")
    s.step(f"invoke_function_invalid_payload_{word}", "invoke", FunctionName=name, Payload=payload)


def test_lambda_runtime_error(s):
    code = zip_of({"lambda_runtime_error.py": STARTUP})
    name = s.function(code, Runtime="python3.13", Handler="lambda_runtime_error.handler")["FunctionName"]
    s.invoke(name, {}, step="invocation_error")


def test_lambda_runtime_exit_segfault(s):
    name = s.function(SEGFAULT, Runtime="python3.12")["FunctionName"]
    s.invoke(name, {}, step="invocation_error")

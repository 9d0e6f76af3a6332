"""Functions from their creation to their largest answer."""

from harness.scenario import HANDLER, PYTHON, zip_of

TOO_LARGE = "def handler(event, context):\n    return 'a' * 6291557\n"


def test_function_state(s):
    name, code = s.name(), {"ZipFile": zip_of({"handler.py": HANDLER})}
    fixed = {"Runtime": "python3.12", "Handler": "handler.handler", "Role": s.role, "Code": code}
    s.step("create-fn-response", "create_function", FunctionName=name, **fixed)
    s.active(name)
    s.step("get-fn-response", "get_function", FunctionName=name)


def test_lambda_different_iam_keys_environment(s):
    s.function(step="create-result")


def test_lambda_too_large_response(s):
    name = s.function(TOO_LARGE, Runtime=PYTHON)["FunctionName"]
    s.invoke(name, {}, step="invoke_result")
    s.invoke(name, {}, step="invoke_result_2")

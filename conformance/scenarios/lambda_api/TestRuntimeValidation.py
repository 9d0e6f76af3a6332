"""Runtimes that are no longer offered."""

from harness.scenario import HANDLER, zip_of


def test_create_deprecated_function_runtime_with_validation_enabled(s, runtime):
    code = {"ZipFile": zip_of({"handler.py": HANDLER})}
    fixed = {"Handler": "handler.handler", "Role": s.role, "Code": code}
    s.step("deprecation_error", "create_function", FunctionName=s.name(), Runtime=runtime, **fixed)

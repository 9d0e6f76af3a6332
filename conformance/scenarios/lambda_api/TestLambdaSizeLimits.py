"""Sizes of packages and environments at their limits."""

import io
import zipfile

from harness.scenario import HANDLER, zip_of

UNZIPPED = 262_144_000
ZIPPED = 52_428_800


def test_lambda_envvars_near_limit_succeeds(s):
    s.function(envvars={"LARGE_VAR": "x" * 4080}, step="successful_create_fn_result")


def test_large_environment_variables_fails(s):
    refused(s, "failed_create_fn_result", {"LARGE_VAR": "x" * 4081})


def test_large_environment_fails_multiple_keys(s):
    refused(s, "failured_create_fn_result_multi_key", {"SMALL_VAR": "ok", "LARGE_VAR": "x" * 4064})


def test_large_lambda(s):
    create(s, "create_function_large_zip", padded(UNZIPPED - 1000), Timeout=10)


def test_oversized_unzipped_lambda(s):
    create(s, "invalid_param_exc", padded(UNZIPPED + 1))


def test_oversized_zipped_create_lambda(s):
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("handler.py", HANDLER)
        archive.writestr("padding", b"\0" * ZIPPED)
    create(s, "invalid_param_exc", data.getvalue())


def padded(size):
    """A small package that is `size` bytes when it is unpacked."""
    return zip_of({"handler.py": HANDLER, "padding": b"\0" * (size - len(HANDLER))})


def refused(s, step, variables):
    create(s, step, zip_of({"handler.py": HANDLER}), Environment={"Variables": variables})


def create(s, step, package, **args):
    fixed = {"Runtime": "python3.12", "Handler": "handler.handler", "Role": s.role, "Code": {"ZipFile": package}}
    s.step(step, "create_function", FunctionName=s.name(), **fixed, **args)

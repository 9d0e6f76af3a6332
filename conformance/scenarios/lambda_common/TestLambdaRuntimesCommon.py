"""The same small functions in every runtime: what they see, and the script that starts them."""

import json

from harness.scenario import LeftOut, zip_of

PYTHON = '''import os


def handler(event, context):
    names = "aws_request_id function_name function_version invoked_function_arn log_group_name log_stream_name"
    ctx = {name: getattr(context, name) for name in names.split()}
    ctx["memory_limit_in_mb"] = context.memory_limit_in_mb
    ctx["remaining_time_in_millis"] = context.get_remaining_time_in_millis()
    return {"ctx": ctx, "environment": dict(os.environ), "packages": []}
'''
NODE = """exports.handler = async (event, context) => ({
    ctx: {
        aws_request_id: context.awsRequestId,
        function_name: context.functionName,
        function_version: context.functionVersion,
        invoked_function_arn: context.invokedFunctionArn,
        log_group_name: context.logGroupName,
        log_stream_name: context.logStreamName,
        remaining_time_in_millis: context.getRemainingTimeInMillis(),
    },
    environment: process.env,
    packages: [],
});
"""
WRAPPER = '#!/bin/bash\nexport WRAPPER_VAR=test\nexec "$@"\n'
WRAPPER_VARIABLES = {"AWS_LAMBDA_EXEC_WRAPPER": "/var/task/environment_wrapper"}


def test_introspection_invoke(s, runtime):
    name = s.name()
    create(s, name, runtime, {}, {"TEST_KEY": "TEST_VAL"})
    for step, args in (("", {}), ("_qualified", {"Qualifier": "$LATEST"})):
        s.take(f"invocation_result_payload{step}", json.loads(s.invoke(name, {}, **args)["Payload"]))


def test_runtime_wrapper_invoke(s, runtime):
    name = s.name()
    create(s, name, runtime, {"environment_wrapper": WRAPPER}, WRAPPER_VARIABLES)
    seen = json.loads(s.invoke(name, {})["Payload"])["environment"]
    assert seen["WRAPPER_VAR"] == "test", seen


def create(s, name, runtime, files, variables):
    if runtime.startswith("python"):
        handler, code = "handler.handler", {"handler.py": PYTHON}
    elif runtime.startswith("nodejs"):
        handler, code = "index.handler", {"index.js": NODE}
    elif runtime.startswith("provided"):
        raise LeftOut("the function would have to be compiled by Go")
    else:
        raise LeftOut(f"Hearth runs no {runtime}")
    s.step(
        "create_function_result",
        "create_function",
        FunctionName=name,
        Runtime=runtime,
        Handler=handler,
        Role=s.role,
        Code={"ZipFile": zip_of({**code, **files})},
        MemorySize=1024,
        Environment={"Variables": variables},
    )
    s.active(name)

"""Functions that bring their own runtime: what they say of an error reaches the caller as it is."""

from harness.scenario import zip_of

# What a handler of Go's does that returns an error.
BOOTSTRAP = r"""#!/bin/sh
api=http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime/invocation
while curl -sSo /tmp/event -D /tmp/head "$api/next"; do
  id=$(sed -n 's/\r$//; s/^Lambda-Runtime-Aws-Request-Id: //Ip' /tmp/head)
  text=$(sed 's/.*"error_msg": *"\([^"]*\)".*/\1/' /tmp/event)
  curl -sS "$api/$id/error" -d "{\"errorMessage\": \"Error: $text\", \"errorType\": \"errorString\"}" > /dev/null
done
"""


def test_uncaught_exception_invoke(s, runtime):
    name = s.name()
    s.step(
        "create_function_result",
        "create_function",
        FunctionName=name,
        Runtime=runtime,
        Handler="function.handler",
        Role=s.role,
        Code={"ZipFile": zip_of({"bootstrap": BOOTSTRAP})},
        MemorySize=1024,
    )
    s.active(name)
    s.invoke(name, {"error_msg": "some_error_msg"}, step="error_result")

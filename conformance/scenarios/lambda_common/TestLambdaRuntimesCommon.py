"""The same small functions in every runtime: what they see, and the script that starts them."""

import json

from harness import java
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
RUBY = """def handler(event:, context:)
  names = %i[aws_request_id function_name function_version invoked_function_arn log_group_name log_stream_name memory_limit_in_mb]
  ctx = names.to_h { |name| [name, context.public_send(name)] }
  {ctx: ctx.merge(remaining_time_in_millis: context.get_remaining_time_in_millis), environment: ENV.to_h, packages: []}
end
"""
JAVA = """package echo;

import com.amazonaws.services.lambda.runtime.*;
import java.util.*;

public class Handler implements RequestHandler<Map<String, String>, Object> {
    public Object handleRequest(Map<String, String> event, Context context) {
        Map<String, Object> ctx = new HashMap<>();
        ctx.put("aws_request_id", context.getAwsRequestId());
        ctx.put("function_name", context.getFunctionName());
        ctx.put("function_version", context.getFunctionVersion());
        ctx.put("invoked_function_arn", context.getInvokedFunctionArn());
        ctx.put("log_group_name", context.getLogGroupName());
        ctx.put("log_stream_name", context.getLogStreamName());
        ctx.put("memory_limit_in_mb", String.valueOf(context.getMemoryLimitInMB()));
        ctx.put("remaining_time_in_millis", context.getRemainingTimeInMillis());
        Map<String, Object> seen = new HashMap<>();
        seen.put("ctx", ctx);
        seen.put("environment", System.getenv());
        seen.put("packages", new ArrayList<String>());
        return seen;
    }
}
"""
# The runtimes of compiled languages set the variable of the trace themselves; this one does, too.
BOOTSTRAP = r"""#!/bin/sh
api=http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime/invocation
header() { sed -n "s/\r$//; s/^Lambda-Runtime-$1: //Ip" /tmp/head; }
while curl -sSo /tmp/event -D /tmp/head "$api/next"; do
  id=$(header Aws-Request-Id)
  { tr '\0' '\n' < /proc/$$/environ; echo "_X_AMZN_TRACE_ID=$(header Trace-Id)"; } |
    awk -F= '{printf "%s\"%s\":\"%s\"", s, $1, substr($0, length($1) + 2); s = ","}' > /tmp/environment
  curl -sS "$api/$id/response" -d "{\"ctx\": {\"aws_request_id\": \"$id\", \"deadline\": \"$(header Deadline-Ms)\",
    \"function_name\": \"$AWS_LAMBDA_FUNCTION_NAME\", \"function_version\": \"$AWS_LAMBDA_FUNCTION_VERSION\",
    \"invoked_function_arn\": \"$(header Invoked-Function-Arn)\", \"log_group_name\": \"$AWS_LAMBDA_LOG_GROUP_NAME\",
    \"log_stream_name\": \"$AWS_LAMBDA_LOG_STREAM_NAME\", \"memory_limit_in_mb\": $AWS_LAMBDA_FUNCTION_MEMORY_SIZE},
    \"environment\": {$(cat /tmp/environment)}, \"packages\": []}" > /dev/null
done
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
        handler, code = "function.handler", {"bootstrap": BOOTSTRAP}
    elif runtime.startswith("ruby"):
        handler, code = "function.handler", {"function.rb": RUBY}
    elif runtime.startswith("java"):
        handler, code = "echo.Handler", java.classes("echo.Handler", JAVA)
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

"""Java: which method a handler names, and handlers that work on streams."""

from harness import java
from harness.scenario import zip_of

BOTH = """package cloud.localstack.sample;

import com.amazonaws.services.lambda.runtime.*;
import java.util.Map;

public class LambdaHandlerWithInterfaceAndCustom implements RequestHandler<Map<String, Object>, String> {
    public String handleRequest(Map<String, Object> event, Context context) {
        return "INTERFACE";
    }

    public String handleRequestCustom(Map<String, Object> event, Context context) {
        return "CUSTOM";
    }
}
"""
STREAMS = """package cloud.localstack.sample;

import com.amazonaws.services.lambda.runtime.*;
import java.io.*;

public class LambdaStreamHandler implements RequestStreamHandler {
    public void handleRequest(InputStream input, OutputStream output, Context context) throws IOException {
        output.write("{}".getBytes());
    }
}
"""


def test_java_custom_handler_method_specification(s, case):
    # The case is HANDLER-ANSWER, less the end of a class's name.
    handler = case.rpartition("-")[0]
    name = "cloud.localstack.sample.LambdaHandlerWithInterfaceAndCustom"
    handler = handler if handler.startswith(name) else f"{name}::{handler}"
    code = zip_of(java.classes(name, BOTH))
    made = s.function(code, Runtime="java11", Handler=handler, step="create-result")
    s.invoke(made["FunctionName"], {}, step="invoke-result")


def test_stream_handler(s, runtime):
    name = "cloud.localstack.sample.LambdaStreamHandler"
    made = s.function(zip_of(java.classes(name, STREAMS)), Runtime=runtime, Handler=name)
    s.invoke(made["FunctionName"], {"echo": "echo"}, step="invoke_result")

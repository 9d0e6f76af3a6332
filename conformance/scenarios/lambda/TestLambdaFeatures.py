"""Invokes of all types, by qualifier, of code from S3."""

from harness.scenario import PYTHON, tail, zip_of

CODE = '''import logging

logger = logging.getLogger()
logger.setLevel(logging.INFO)
MEMBERS = "invoked_function_arn function_version function_name memory_limit_in_mb aws_request_id".split()
MEMBERS += ["log_group_name", "log_stream_name", "client_context"]


def handler(event, context):
    print("Lambda log message - print function")
    logger.info("Lambda log message - logging module")
    return {"event": event, "context": {name: getattr(context, name) for name in MEMBERS}}
'''
EVENT = {"foo": "bar with 'quotes\""}
NOTHING = {
    "python": {"code": "def handler(event, context):\n    pass\n", "Runtime": PYTHON},
    "nodejs": {
        "code": zip_of({"handler.js": "exports.handler = async () => {};\n"}),
        "Runtime": "nodejs20.x",
    },
}


def test_invocation_type_no_return_payload(s, case):
    runtime, kind = case.split("-")
    name = s.function(**NOTHING[runtime])["FunctionName"]
    s.invoke(name, {}, step="invoke-result", InvocationType=kind)


def test_invocation_with_qualifier(s):
    name = s.name()
    code = {"ZipFile": zip_of({"handler.py": CODE})}
    s.step("creation-response", "create_function", **usual(s, name, code), Publish=True)
    s.active(name)
    s.wait("published_version_active", FunctionName=name, Qualifier="1")
    answer = s.invoke(name, EVENT, step="invocation-response", Qualifier="1", LogType="Tail")
    s.take("log_result", {"log_result": tail(answer)})


def test_upload_lambda_from_s3(s):
    name = s.name()
    code = {"S3Bucket": s.bucket({"code.zip": zip_of({"handler.py": CODE})}), "S3Key": "code.zip"}
    s.step("creation-response", "create_function", **usual(s, name, code))
    s.active(name)
    s.invoke(name, EVENT, step="invocation-response")


def test_invoke_exceptions(s):
    s.step("invoke_function_doesnotexist", "invoke", FunctionName="doesnotexist")


def usual(s, name, code):
    fixed = {"Runtime": "python3.12", "Handler": "handler.handler", "Role": s.role, "Timeout": 10}
    return {"FunctionName": name, "Code": code, **fixed}

"""Functions: their life, names and qualifiers, code, VPC, errors."""

import re

from harness.scenario import settling, zip_of

VERSION_CODE = "def handler(event, context):\n    return context.function_version\n"
VALIDATION = re.compile(r"(\d+) validation errors? detected: (.*)", re.DOTALL)


def test_function_lifecycle(s):
    name = s.name()
    s.function(FunctionName=name, MemorySize=256, Timeout=5, step="create_response")
    s.step("get_function_response", "get_function", FunctionName=name)
    s.step(
        "update_func_conf_response",
        "update_function_configuration",
        FunctionName=name,
        Runtime="python3.11",
        Description="Changed-Description",
        MemorySize=512,
        Timeout=10,
        Environment={"Variables": {"ENV_A": "a"}},
    )
    s.updated(name)
    s.step("get_function_response_postupdate", "get_function", FunctionName=name)
    code = zip_of({"handler.py": VERSION_CODE})
    s.step("update_code_response", "update_function_code", FunctionName=name, ZipFile=code)
    s.updated(name)
    s.step("get_function_response_postcodeupdate", "get_function", FunctionName=name)
    s.step("delete_response", "delete_function", FunctionName=name)
    s.step("delete_postdelete", "delete_function", FunctionName=name)


def test_function_arns(s):
    first, second = s.name(), s.name()
    s.function(FunctionName=arn(s, first), step="create-function-arn-response")
    partial = f"{s.account}:function:{second}"
    s.function(VERSION_CODE, FunctionName=partial, step="create-function-partial-arn-response")
    long_arn = arn(s, "a" * 65 + "b" * 40)
    s.given_as(function_name=long_arn.rsplit(":", 1)[1])
    for step, name in (
        ("invalid_function_name_exc", "invalid:function:name"),
        ("long_function_name_exc", "a" * 65),
        ("long_function_arn_exc", long_arn),
        ("function_arn_other_region_exc", arn(s, first, region="ap-southeast-1")),
        ("function_arn_other_account_exc", arn(s, first, account="123456789012")),
    ):
        s.step(step, "create_function", FunctionName=name, **usual(s))


def test_function_name_and_qualifier_validation(s, case):
    case, operation = case.rsplit("-", 1)
    names = {
        "full_arn_and_qualifier_too_long_and_invalid_region": (
            arn(s, "my-function-" + "a" * 170, region="invalid-region"),
            "a" * 129,
        ),
        "full_arn_with_multiple_qualifiers": (arn(s, "my-function:1:2"), None),
        "function_name_is_single_invalid": ("*", None),
        "function_name_too_long": ("a" * 65, None),
        "function_name_too_long_and_invalid_region": (arn(s, "my-function" + "a" * 170, region="invalid-region"), None),
        "incomplete_arn": (f"arn:aws:lambda:{s.region}:{s.account}:function", None),
        "invalid_account_id_in_partial_arn": ("invalid-account:function:my-function", None),
        "invalid_characters_in_function_name": ("my-function!", None),
        "invalid_characters_in_qualifier": ("my-function", "invalid!"),
        "latest_version_with_additional_qualifier": ("my-function:$LATEST", "1"),
        "lowercase_latest_qualifier": ("my-function", "$latest"),
        "missing_account_id_in_arn": (arn(s, "my-function", account=""), None),
        "missing_region_in_arn": (arn(s, "my-function", region=""), None),
        "misspelled_latest_in_arn": (arn(s, "my-function:$LATES"), None),
        "non_lambda_arn": (f"arn:aws:ec2:{s.region}:{s.account}:instance:i-1234567890abcdef0", None),
        "partial_arn_with_extra_qualifier": ("function:my-function:$LATEST:extra", None),
        "qualifier_too_long": ("my-function", "a" * 129),
    }
    name, qualifier = names[case]
    if operation == "create_function":
        if case == "incomplete_arn":
            return  # nothing was recorded
        name = f"{name}:{qualifier}" if qualifier else name
        answer = s.attempt(operation, FunctionName=name, **usual(s))
    else:
        answer = s.attempt(operation, FunctionName=name, **({"Qualifier": qualifier} if qualifier else {}))
    s.take(f"{operation}_exception", listed(answer["Error"]))


def test_get_function_wrong_region(s, operation):
    s.given_as(wrong_region="eu-west-3")
    name = arn(s, s.name(), region="eu-west-3")
    s.step("wrong_region_exception", operation, FunctionName=name)


def test_invalid_invoke(s):
    name = f"arn:aws:lambda:{s.region}:123400000000@function:myfn"
    s.step("invoke_function_name_pattern_exc", "invoke", FunctionName=name)


def test_invalid_vpc_config_security_group(s):
    s.given_as(security_group_id_1="sg-11111111111111111", security_group_id_2="invalid-format")
    for step, group in (
        ("create-response-non-existent-security-group", "sg-11111111111111111"),
        ("create-response-invalid-format-security-group", "invalid-format"),
    ):
        vpc = {"SubnetIds": ["subnet-00000000000000001"], "SecurityGroupIds": [group]}
        s.step(step, "create_function", FunctionName=s.name(), VpcConfig=vpc, **usual(s))


def test_invalid_vpc_config_subnet(s):
    s.given_as(subnet_id_1="subnet-11111111111111111", subnet_id_2="invalid-format")
    for step, subnet in (
        ("create-response-non-existent-subnet-id", "subnet-11111111111111111"),
        ("create-response-invalid-format-subnet-id", "invalid-format"),
    ):
        vpc = {"SubnetIds": [subnet], "SecurityGroupIds": []}
        s.step(step, "create_function", FunctionName=s.name(), VpcConfig=vpc, **usual(s))


def test_vpc_config(s):
    name = s.name()
    subnets, groups = ["subnet-0000000000000001a", "subnet-0000000000000001b"], ["sg-0000000000000001a", "sg-0000000000000001b"]
    s.given_as(subnet_id_1=subnets[0], subnet_id_2=subnets[1], security_group_id_1=groups[0], security_group_id_2=groups[1])
    vpc = [{"SubnetIds": [subnet], "SecurityGroupIds": [group]} for subnet, group in zip(subnets, groups)]
    s.function(FunctionName=name, MemorySize=256, Timeout=5, VpcConfig=vpc[0], step="create_response")
    s.step("get_function_response", "get_function", FunctionName=name)
    for word, config in (("update", vpc[1]), ("delete", {"SubnetIds": [], "SecurityGroupIds": []})):
        step = f"{word}_vpcconfig_update_response"
        s.step(step, "update_function_configuration", FunctionName=name, VpcConfig=config)
        s.updated(name)
        s.step(f"{word}_vpcconfig_get_function_response", "get_function", FunctionName=name)


def test_lambda_code_location_s3_errors(s):
    name = s.name()
    bucket = s.bucket({"code.zip": zip_of({"handler.py": VERSION_CODE})})
    create = {key: value for key, value in usual(s).items() if key != "Code"}
    wrong = {"S3Bucket": s.name("no-such-bucket"), "S3Key": "code.zip"}, {"S3Bucket": bucket, "S3Key": "no-such-key.zip"}
    s.step("create-error-wrong-bucket", "create_function", FunctionName=name, Code=wrong[0], **create)
    s.step("create-error-wrong-key", "create_function", FunctionName=name, Code=wrong[1], **create)
    s.call("create_function", FunctionName=name, Code={"S3Bucket": bucket, "S3Key": "code.zip"}, **create)
    s.active(name)
    s.step("update-error-wrong-bucket", "update_function_code", FunctionName=name, **wrong[0])
    s.step("update-error-wrong-key", "update_function_code", FunctionName=name, **wrong[1])


@settling
def test_lambda_code_location_zipfile(s):
    name = s.name()
    code = zip_of({"index.py": "def handler(event, context):\n    return 1\n"})
    args = {**usual(s), "Handler": "index.handler", "Code": {"ZipFile": code}}
    s.step("create-response-zip-file", "create_function", FunctionName=name, **args)
    s.active(name)
    s.step("get-function-response", "get_function", FunctionName=name)
    code = zip_of({"index.py": "def handler(event, context):\n    return 2\n"})
    s.step("update-function-response", "update_function_code", FunctionName=name, ZipFile=code)
    s.step("get-function-response-updated", "get_function", FunctionName=name)


@settling
def test_lambda_concurrent_code_updates(s):
    name = s.name()
    s.step("create-function-response", "create_function", FunctionName=name, **usual(s))
    s.active(name)
    codes = [zip_of({"handler.py": f"def handler(event, context):\n    return {n}\n"}) for n in range(2)]
    s.call("update_function_code", FunctionName=name, ZipFile=codes[0])
    s.step("update-during-in-progress-update-exc", "update_function_code", FunctionName=name, ZipFile=codes[1])


@settling
def test_lambda_concurrent_config_updates(s):
    name = s.name()
    s.function(FunctionName=name, step="create-function-response")
    update = "update_function_configuration"
    s.call(update, FunctionName=name, Environment={"Variables": {"TEST": "0"}})
    args = {"FunctionName": name, "Environment": {"Variables": {"TEST": "1"}}}
    s.step("update-during-in-progress-update-exc", update, **args)


def test_ops_on_nonexisting_fn(s, operation):
    name = s.name("nonexisting")
    s.given_as(nonexisting_fn_name=name)
    s.step("not_found_exception", operation, FunctionName=name)


def test_ops_with_arn_qualifier_mismatch(s, operation):
    name = arn(s, "some-function:$LATEST")
    s.step("not_match_exception", operation, FunctionName=name, Qualifier="1")
    s.step("match_exception", operation, FunctionName=name, Qualifier="$LATEST")


def test_redundant_updates(s):
    name = s.name()
    s.function(FunctionName=name, Description="Initial description", step="create_response")
    change = {"FunctionName": name, "Description": "1st update description"}
    s.step("first_update_result", "update_function_configuration", **change)
    s.updated(name)
    s.step("get_fn_config_result", "get_function_configuration", FunctionName=name)
    s.step("get_fn_result", "get_function", FunctionName=name)
    s.step("redundant_update_result", "update_function_configuration", **change)
    s.updated(name)
    s.step("get_fn_result_after_redundant_update", "get_function", FunctionName=name)


def test_update_lambda_exceptions(s):
    name = s.name()
    s.function(FunctionName=name)
    s.step("invalid_role_arn_exc", "update_function_configuration", FunctionName=name, Role="r1")
    s.step("invalid_runtime_exc", "update_function_configuration", FunctionName=name, Runtime="non-existent-runtime")
    s.step("uppercase_runtime_exc", "update_function_configuration", FunctionName=name, Runtime="PYTHON3.9")


def arn(s, name, region=None, account=None):
    region, account = s.region if region is None else region, s.account if account is None else account
    return f"arn:aws:lambda:{region}:{account}:function:{name}"


def usual(s):
    """The members of a request that are not the subject."""
    code = zip_of({"handler.py": "def handler(event, context):\n    return event\n"})
    return {"Runtime": "python3.12", "Handler": "handler.handler", "Role": s.role, "Code": {"ZipFile": code}}


def listed(error):
    """An error as these scenarios recorded it: the single violations of the model, where it has some."""
    found = VALIDATION.fullmatch(error["Message"])
    if not found:
        return {"Code": error["Code"], "Message": error["Message"]}
    errors = re.split(r"; (?=Value )", found[2])
    return {"Code": error["Code"], "Count": int(found[1]), "Errors": errors}

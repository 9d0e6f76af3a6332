"""Reserved concurrency."""

from harness.scenario import alone

PUT = "put_function_concurrency"


def test_function_concurrency_exceptions(s):
    step = "put_function_concurrency_with_function_name_doesnotexist"
    s.step(step, PUT, FunctionName="doesnotexist", ReservedConcurrentExecutions=1)
    step = f"{step}_and_invalid_concurrency"
    s.step(step, PUT, FunctionName="doesnotexist", ReservedConcurrentExecutions=limit(s) + 1)
    qualified = f"{s.function()['FunctionArn']}:$LATEST"
    step = "put_function_concurrency_with_qualified_arn"
    s.step(step, PUT, FunctionName=qualified, ReservedConcurrentExecutions=1)


@alone
def test_function_concurrency_limits(s):
    name = s.function()["FunctionName"]
    step = "put_function_concurrency_account_limit_exceeded"
    s.step(step, PUT, FunctionName=name, ReservedConcurrentExecutions=limit(s) + 1)
    step = "put_function_concurrency_below_unreserved_min_value"
    s.step(step, PUT, FunctionName=name, ReservedConcurrentExecutions=limit(s))


def limit(s):
    return s.call("get_account_settings")["AccountLimit"]["ConcurrentExecutions"]

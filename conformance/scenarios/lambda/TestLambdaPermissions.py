"""Who may call a function's URL."""

from harness import urls


def test_lambda_permission_url_invocation(s):
    name = s.function()["FunctionName"]
    url = s.call("create_function_url_config", FunctionName=name, AuthType="NONE")["FunctionUrl"]
    answer = urls.request(url, server=s.url)
    s.take("lambda_url_invocation_missing_permission", answer.json())

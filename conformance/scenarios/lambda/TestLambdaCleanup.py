"""Functions that come again."""


def test_recreate_function(s):
    name = s.name()
    for word in ("one", "two"):
        s.function(FunctionName=name, Handler="lambda_echo.handler", step=f"create_function_response_{word}")
        if word == "one":
            s.call("delete_function", FunctionName=name)

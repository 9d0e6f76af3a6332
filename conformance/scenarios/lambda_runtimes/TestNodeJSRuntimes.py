"""Node.js: handlers as ES modules."""

from harness.scenario import zip_of

CODE = zip_of(
    {
        "lambda_handler_es6.mjs": """export const handler = async (event) => {
    const text = `response from localstack lambda: ${JSON.stringify(event)}`;
    return {statusCode: 200, body: JSON.stringify(text)};
};
"""
    }
)


def test_invoke_nodejs_es6_lambda(s, runtime):
    name = s.name()
    s.function(CODE, FunctionName=name, Runtime=runtime, Handler="lambda_handler_es6.handler", step="creation-result")
    s.invoke(name, {"event_type": "test_lambda"}, step="invocation-result")

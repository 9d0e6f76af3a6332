"""Lines as a function's log keeps them."""

from harness import logs

PRINTS = """def handler(event, context):
    print("multi\\nline\\nstring")
    print("another\\rline")
"""


def test_multi_line_prints(s):
    name = s.function(PRINTS, Runtime="python3.13")["FunctionName"]
    s.invoke(name, {})
    s.take("log-events", logs.events(s, name, logs.count("REPORT")))

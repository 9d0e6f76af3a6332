"""Logging: format, levels, group."""

PARTIAL = {
    "partial_config0": {"LogFormat": "JSON"},
    "partial_config1": {"LogFormat": "JSON", "ApplicationLogLevel": "DEBUG"},
    "partial_config2": {"LogFormat": "JSON", "SystemLogLevel": "DEBUG"},
    "partial_config3": {"LogGroup": "cool_lambda"},
}


def test_advanced_logging_configuration_format_switch(s):
    name = start(s)
    change(s, name, {"LogFormat": "JSON"})
    change(s, name, {"LogFormat": "Text"}, "_v2")


def test_function_advanced_logging_configuration(s):
    name = start(s, LoggingConfig={"LogFormat": "JSON"})
    change(s, name, {"LogGroup": "cool_lambda"})


def test_function_partial_advanced_logging_configuration_update(s, config):
    change(s, start(s), PARTIAL[config])


def start(s, **args):
    name = s.name()
    s.function(FunctionName=name, MemorySize=256, Timeout=5, step="create_response", **args)
    s.step("get_function_response", "get_function", FunctionName=name)
    s.step("function_config", "get_function_configuration", FunctionName=name)
    return name


def change(s, name, config, end=""):
    s.step(f"updated_config{end}", "update_function_configuration", FunctionName=name, LoggingConfig=config)
    s.updated(name)
    s.step(f"received_config{end}", "get_function_configuration", FunctionName=name)

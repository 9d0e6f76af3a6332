"""Java."""

from harness.scenario import LeftOut


def test_java_custom_handler_method_specification(s, case):
    raise LeftOut("Hearth runs no Java")


def test_stream_handler(s, runtime):
    raise LeftOut("Hearth runs no Java")

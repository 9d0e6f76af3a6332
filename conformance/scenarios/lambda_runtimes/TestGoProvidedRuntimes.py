"""Functions that bring their own runtime, in Go."""

from harness.scenario import LeftOut


def test_uncaught_exception_invoke(s, runtime):
    raise LeftOut("the function would have to be compiled by Go")

"""Invokes by version and alias: what runs, and how often."""

import json
import math
from concurrent.futures import ThreadPoolExecutor

import pytest

from conftest import unique

INVOKES = 3000
CODE = "def handler(event, context):\n    return [{n}, context.function_version, context.invoked_function_arn.split(':')[-1]]\n"


@pytest.fixture
def versions(client, deploy):
    """A function with versions 1 and 2."""
    function = deploy(CODE.format(n=1), MemorySize=256)
    for n in (1, 2):
        function.update(code={"app.py": CODE.format(n=n)})
        assert client.publish_version(FunctionName=function.name)["Version"] == str(n)
    function.update(code={"app.py": CODE.format(n=3)})
    return function


@pytest.mark.parametrize("weight", [0.0, 0.1, 0.5, 1.0])
def test_an_aliases_weights_are_kept_over_many_invokes(client, versions, weight):
    alias = unique("a")
    routing = {"AdditionalVersionWeights": {"2": weight}}
    client.create_alias(FunctionName=versions.name, Name=alias, FunctionVersion="1", RoutingConfig=routing)

    def one(_):
        answer = versions.invoke(Qualifier=alias)
        assert "FunctionError" not in answer, answer
        number, version, qualifier = json.loads(answer["payload"])
        assert (str(number), qualifier) == (version, alias)
        assert answer["ExecutedVersion"] == version
        return number

    with ThreadPoolExecutor(4) as pool:
        second = sum(number == 2 for number in pool.map(one, range(INVOKES)))
    # Five standard deviations of a fair choice: chance fails this once in a million runs.
    spread = 5 * math.sqrt(INVOKES * weight * (1 - weight))
    assert abs(second - INVOKES * weight) <= spread, f"{second} of {INVOKES}"


def test_an_alias_moves_without_a_failed_invoke(client, versions):
    alias = unique("a")
    client.create_alias(FunctionName=versions.name, Name=alias, FunctionVersion="1")
    for version in ("2", "1", "$LATEST"):
        client.update_alias(FunctionName=versions.name, Name=alias, FunctionVersion=version)
        assert versions.call(Qualifier=alias)[1:] == [version, alias]
    client.delete_alias(FunctionName=versions.name, Name=alias)
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        versions.invoke(Qualifier=alias)

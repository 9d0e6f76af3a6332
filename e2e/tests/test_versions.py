"""Versions and aliases, as a deploy tool uses them."""

import pytest

from conftest import unique
from support.errors import refused
from support.packages import sha256, zip_of

ACCOUNT = "us-east-1:000000000000"
TELLS = "def handler(event, context):\n    return [{word!r}, context.function_version, context.invoked_function_arn]\n"


def arn(name):
    return f"arn:aws:lambda:{ACCOUNT}:function:{name}"


def publish(client, function, word, **args):
    """A new version whose code tells its word."""
    function.update(TELLS.format(word=word))
    return client.publish_version(FunctionName=function.name, **args)["Version"]


@pytest.fixture
def two(client, deploy):
    """A function with version 1 (`one`), version 2 (`two`) and $LATEST (`latest`)."""
    function = deploy(TELLS.format(word="one"))
    assert client.publish_version(FunctionName=function.name)["Version"] == "1"
    assert publish(client, function, "two") == "2"
    return function.update(TELLS.format(word="latest")) or function


def test_a_version_stays_as_it_was(client, two):
    for qualifier, expected in [("1", "one"), ("2", "two"), ("$LATEST", "latest")]:
        word, version, invoked = two.call(Qualifier=qualifier)
        assert (word, version, invoked) == (expected, qualifier, f"{arn(two.name)}:{qualifier}")
        assert two.invoke(Qualifier=qualifier)["ExecutedVersion"] == qualifier
    assert two.call()[1:] == ["$LATEST", arn(two.name)]
    two.update(Description="of $LATEST only", MemorySize=256)
    got = client.get_function_configuration(FunctionName=two.name, Qualifier="1")
    assert (got["Description"], got["MemorySize"], got["FunctionArn"]) == ("", 1769, f"{arn(two.name)}:1")


def test_publishing_what_did_not_change_makes_no_version(client, two):
    first = client.publish_version(FunctionName=two.name, Description="third")
    again = client.publish_version(FunctionName=two.name, Description="other")
    for answer in (first, again):
        assert answer["ResponseMetadata"]["HTTPStatusCode"] == 201
        assert (answer["Version"], answer["Description"], answer["State"]) == ("3", "third", "Active")
    assert first["RevisionId"] == again["RevisionId"]


def test_numbers_are_not_used_twice_but_start_anew_with_the_function(client, deploy, two):
    client.delete_function(FunctionName=two.name, Qualifier="2")
    assert refused(client.get_function, FunctionName=two.name, Qualifier="2")[2] == f"Function not found: {arn(two.name)}:2"
    client.delete_function(FunctionName=two.name, Qualifier="2")
    assert publish(client, two, "three") == "3"
    client.delete_function(FunctionName=two.name)
    again = deploy(TELLS.format(word="new"), FunctionName=two.name)
    assert client.publish_version(FunctionName=again.name)["Version"] == "1"
    assert again.call(Qualifier="1")[0] == "new"


def test_what_is_published_is_what_the_client_knows(client, two):
    stale = {"FunctionName": two.name, "RevisionId": "00000000-0000-4000-8000-000000000000"}
    assert refused(client.publish_version, **stale)[:2] == (412, "PreconditionFailedException")
    actual = client.get_function_configuration(FunctionName=two.name)["CodeSha256"]
    expected = (
        f"CodeSHA256 (x) is different from current CodeSHA256 in $LATEST ({actual}). "
        "Please try again with the CodeSHA256 in $LATEST."
    )
    assert refused(client.publish_version, FunctionName=two.name, CodeSha256="x") == (400, "InvalidParameterValueException", expected)
    assert client.publish_version(FunctionName=two.name, CodeSha256=actual)["Version"] == "3"


def test_publishing_changes_the_revision_of_latest_only(client, two):
    def revision(qualifier):
        return client.get_function_configuration(FunctionName=two.name, Qualifier=qualifier)["RevisionId"]

    before = {qualifier: revision(qualifier) for qualifier in ("$LATEST", "1")}
    client.publish_version(FunctionName=two.name)
    assert revision("1") == before["1"] and revision("$LATEST") != before["$LATEST"]


def test_publish_with_new_code_answers_with_the_version(client, two):
    package = zip_of({"app.py": TELLS.format(word="three")})
    made = client.update_function_code(FunctionName=two.name, ZipFile=package, Publish=True)
    assert (made["Version"], made["FunctionArn"], made["CodeSha256"]) == ("3", f"{arn(two.name)}:3", sha256(package))
    client.get_waiter("published_version_active").wait(FunctionName=two.name, Qualifier="3", WaiterConfig={"Delay": 1})
    assert two.ready().call(Qualifier="3")[0] == "three"


def test_an_alias_leads_to_its_version(client, two):
    made = client.create_alias(FunctionName=two.name, Name="live", FunctionVersion="1", Description="d")
    assert made["ResponseMetadata"]["HTTPStatusCode"] == 201
    live = f"{arn(two.name)}:live"
    assert (made["AliasArn"], made["Name"], made["FunctionVersion"], made["Description"]) == (live, "live", "1", "d")
    assert "RoutingConfig" not in made
    for reference in ({"FunctionName": two.name, "Qualifier": "live"}, {"FunctionName": f"{two.name}:live"}, {"FunctionName": live}):
        assert two.call(**reference) == ["one", "1", live]
        got = client.get_function_configuration(**reference)
        assert (got["FunctionArn"], got["Version"]) == (live, "1")
    assert two.invoke(Qualifier="live")["ExecutedVersion"] == "1"
    moved = client.update_alias(FunctionName=two.name, Name="live", FunctionVersion="2")
    assert (moved["Description"], moved["FunctionVersion"]) == ("d", "2") and moved["RevisionId"] != made["RevisionId"]
    assert two.call(Qualifier="live") == ["two", "2", live], "the next invoke goes to the new version"
    stale = {"FunctionName": two.name, "Name": "live", "RevisionId": made["RevisionId"]}
    assert refused(client.update_alias, **stale)[:2] == (412, "PreconditionFailedException")
    client.update_alias(**{**stale, "RevisionId": moved["RevisionId"]}, FunctionVersion="$LATEST")
    assert two.call(Qualifier="live")[0] == "latest"
    client.delete_alias(FunctionName=two.name, Name="live")
    client.delete_alias(FunctionName=two.name, Name="live")
    assert refused(client.get_alias, FunctionName=two.name, Name="live") == (404, "ResourceNotFoundException", f"Cannot find alias arn: {live}")
    assert refused(client.invoke, FunctionName=live)[0] == 404


def test_weights_share_out_the_invokes(client, two):
    def weigh(weight):
        routing = {"AdditionalVersionWeights": {"2": weight} if weight is not None else {}}
        return client.update_alias(FunctionName=two.name, Name="live", RoutingConfig=routing)

    def executed(count):
        return {two.invoke(Qualifier="live")["ExecutedVersion"] for _ in range(count)}

    client.create_alias(FunctionName=two.name, Name="live", FunctionVersion="1")
    assert weigh(1.0)["RoutingConfig"] == {"AdditionalVersionWeights": {"2": 1.0}}
    assert executed(10) == {"2"}
    weigh(0.0)
    assert executed(10) == {"1"}
    weigh(0.5)
    # That 60 go one way happens in one of 2**59 runs.
    assert executed(60) == {"1", "2"}
    assert "RoutingConfig" not in weigh(None)
    assert executed(10) == {"1"}


@pytest.mark.parametrize(
    "version, routing, status, code, message",
    [
        ("1", {"2": 0.1, "3": 0.1}, 400, "InvalidParameterValueException", "Number of items in AdditionalVersionWeights cannot be greater than 1"),
        ("1", {"1": 0.1}, 400, "InvalidParameterValueException", "Invalid function version 1. Function version 1 is already included in routing configuration."),
        ("$LATEST", {"1": 0.1}, 400, "InvalidParameterValueException", "$LATEST is not supported for an alias pointing to more than 1 version"),
        ("1", {"7": 0.1}, 404, "ResourceNotFoundException", "Function not found: {arn}:7"),
        ("7", {}, 404, "ResourceNotFoundException", "Function not found: {arn}:7"),
    ],
    ids=["two", "same", "latest", "missing weight", "missing"],
)
def test_an_alias_leads_to_what_there_is(client, two, version, routing, status, code, message):
    given = {"FunctionName": two.name, "Name": "live", "FunctionVersion": version, "RoutingConfig": {"AdditionalVersionWeights": routing}}
    assert refused(client.create_alias, **given) == (status, code, message.format(arn=arn(two.name)))
    assert refused(client.get_alias, FunctionName=two.name, Name="live")[0] == 404


def test_a_version_with_an_alias_is_not_deleted(client, two):
    client.create_alias(FunctionName=two.name, Name="live", FunctionVersion="1", RoutingConfig={"AdditionalVersionWeights": {"2": 0.1}})
    for version in ("1", "2"):
        status, code, message = refused(client.delete_function, FunctionName=two.name, Qualifier=version)
        assert (status, code) == (409, "ResourceConflictException") and "live" in message
    client.delete_alias(FunctionName=two.name, Name="live")
    client.delete_function(FunctionName=two.name, Qualifier="1")


def test_aliases_are_listed_by_the_version_they_lead_to(client, two):
    for name, version in (("a", "1"), ("b", "2"), ("c", "1")):
        client.create_alias(FunctionName=two.name, Name=name, FunctionVersion=version)
    assert refused(client.create_alias, FunctionName=two.name, Name="a", FunctionVersion="2") == (
        409,
        "ResourceConflictException",
        f"Alias already exists: {arn(two.name)}:a",
    )
    names = lambda **args: [alias["Name"] for alias in client.list_aliases(FunctionName=two.name, **args)["Aliases"]]
    assert (names(), names(FunctionVersion="1"), names(FunctionVersion="7")) == (["a", "b", "c"], ["a", "c"], [])


def test_versions_are_listed_from_latest_up(client, two):
    listed = client.list_versions_by_function(FunctionName=two.name)["Versions"]
    assert [version["Version"] for version in listed] == ["$LATEST", "1", "2"]
    assert [version["FunctionArn"] for version in listed] == [f"{arn(two.name)}:{q}" for q in ("$LATEST", "1", "2")]
    assert not any({"State", "LastUpdateStatus", "RuntimeVersionConfig"} & version.keys() for version in listed)
    everything = client.get_paginator("list_functions").paginate(FunctionVersion="ALL").search("Functions[].FunctionArn")
    assert [each for each in everything if each.startswith(arn(two.name) + ":")] == [f"{arn(two.name)}:{q}" for q in ("$LATEST", "1", "2")]


def test_every_waiter_of_the_sdk_ends(client, two):
    """Also those that a later SDK has."""
    for name in client.waiter_names:
        qualifier = {"Qualifier": "1"} if name == "published_version_active" else {}
        client.get_waiter(name).wait(FunctionName=two.name, **qualifier, WaiterConfig={"Delay": 1, "MaxAttempts": 2})


def test_the_function_takes_its_versions_and_aliases_with_it(client, deploy, two):
    client.create_alias(FunctionName=two.name, Name="live", FunctionVersion="1")
    client.delete_function(FunctionName=two.name)
    for qualifier in ("1", "live"):
        assert refused(client.invoke, FunctionName=two.name, Qualifier=qualifier)[0] == 404
    deploy(TELLS.format(word="new"), FunctionName=two.name)
    assert [v["Version"] for v in client.list_versions_by_function(FunctionName=two.name)["Versions"]] == ["$LATEST"]
    assert client.list_aliases(FunctionName=two.name)["Aliases"] == []


def test_what_is_not_there_has_no_versions(client):
    name = unique("nowhere")
    for call in (client.publish_version, client.list_versions_by_function, client.list_aliases):
        status, code, message = refused(call, FunctionName=name)
        assert (status, code) == (404, "ResourceNotFoundException") and message.startswith(f"Function not found: {arn(name)}")

"""Tags of functions and event source mappings."""

import pytest

from conftest import unique
from support.errors import refused
from support.sources import queue_beside

CODE = "def handler(event, context):\n    return 'one'\n"
ACCOUNT = "us-east-1:000000000000"
IPV = "InvalidParameterValueException"


@pytest.fixture
def function_arn(client, deploy):
    return client.get_function_configuration(FunctionName=deploy(CODE).name)["FunctionArn"]


@pytest.fixture
def mapping_arn(client, deploy):
    made = client.create_event_source_mapping(FunctionName=deploy(CODE).name, EventSourceArn=queue_beside(client, unique("q")), Enabled=False)
    yield made["EventSourceMappingArn"]
    client.delete_event_source_mapping(UUID=made["UUID"])


@pytest.fixture(params=["function_arn", "mapping_arn"])
def bearer(request):
    return request.getfixturevalue(request.param)


def tags(client, arn):
    return client.list_tags(Resource=arn)["Tags"]


def test_tags_come_and_go(client, bearer):
    assert tags(client, bearer) == {}
    assert client.tag_resource(Resource=bearer, Tags={"a": "1", "b": ""})["ResponseMetadata"]["HTTPStatusCode"] == 204
    client.tag_resource(Resource=bearer, Tags={"b": "zwei", "c": "3"})
    assert tags(client, bearer) == {"a": "1", "b": "zwei", "c": "3"}
    assert client.untag_resource(Resource=bearer, TagKeys=["a", "c", "nowhere"])["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert tags(client, bearer) == {"b": "zwei"}


def test_fifty_tags_are_the_most(client, bearer):
    many = {f"k{n}": "v" for n in range(50)}
    client.tag_resource(Resource=bearer, Tags=many)
    expected = (400, IPV, "Number of tags exceeds resource tag limit.")
    assert refused(client.tag_resource, Resource=bearer, Tags={"one-more": ""}) == expected
    client.tag_resource(Resource=bearer, Tags={"k0": "changed"})
    assert tags(client, bearer) == {**many, "k0": "changed"}


@pytest.mark.parametrize(
    "given, code, text",
    [
        ({}, IPV, "An error occurred and the request cannot be processed."),
        ({"aws:mine": "v"}, IPV, "aws: prefixed tag key names are not allowed for external use."),
        ({"k" * 129: "v"}, "ValidationException", "Member must have length less than or equal to 128"),
        ({"k": "v" * 257}, "ValidationException", "Member must have length less than or equal to 256"),
    ],
    ids=["none", "aws", "key", "value"],
)
def test_tags_that_cannot_be(client, bearer, given, code, text):
    status, actual, message = refused(client.tag_resource, Resource=bearer, Tags=given)
    assert (status, actual) == (400, code) and text in message
    assert tags(client, bearer) == {}


def test_a_functions_tags_are_shown_with_it_and_change_its_revision(client, function_arn):
    before = client.get_function_configuration(FunctionName=function_arn)["RevisionId"]
    assert "Tags" not in client.get_function(FunctionName=function_arn)
    client.tag_resource(Resource=function_arn, Tags={"a": "1"})
    got = client.get_function(FunctionName=function_arn)
    assert got["Tags"] == {"a": "1"} and got["Configuration"]["RevisionId"] != before


def test_versions_bear_no_tags(client):
    arn = f"arn:aws:lambda:{ACCOUNT}:function:nowhere:1"
    expected = (400, IPV, "Tags on function aliases and versions are not supported. Please specify a function ARN.")
    assert refused(client.tag_resource, Resource=arn, Tags={"a": "1"}) == expected
    assert refused(client.untag_resource, Resource=arn, TagKeys=["a"]) == expected
    assert refused(client.list_tags, Resource=arn) == expected


@pytest.mark.parametrize(
    "resource, text",
    [
        ("function:nowhere", "Function not found"),
        ("event-source-mapping:00000000-0000-4000-8000-000000000000", "Event source mapping not found"),
        ("capacity-provider:nowhere", "Capacity provider not found"),
    ],
)
def test_what_is_not_there_bears_no_tags(client, resource, text):
    arn = f"arn:aws:lambda:{ACCOUNT}:{resource}"
    expected = (404, "ResourceNotFoundException", f"{text}: {arn}")
    assert refused(client.tag_resource, Resource=arn, Tags={"a": "1"}) == expected
    assert refused(client.untag_resource, Resource=arn, TagKeys=["a"]) == expected
    assert refused(client.list_tags, Resource=arn) == expected


@pytest.mark.parametrize("arn", ["nowhere", "arn:aws:s3:::bucket"])
def test_other_resources_are_named_by_the_pattern(client, arn):
    status, code, message = refused(client.tag_resource, Resource=arn, Tags={"a": "1"})
    assert (status, code) == (400, "ValidationException") and "at 'resource' failed to satisfy constraint" in message


def test_layers_bear_no_tags_here(client):
    status, _, message = refused(client.tag_resource, Resource=f"arn:aws:lambda:{ACCOUNT}:layer:l", Tags={"a": "1"})
    assert status == 501 and message.startswith("Resource is not supported by this version of Hearth")

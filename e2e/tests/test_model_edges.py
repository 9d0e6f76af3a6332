"""Every operation of the model with members left out, of the wrong type and beyond their ends: always an answer that the
model or the catalogue has, never a failure inside."""

import copy

import botocore.session
import pytest
from botocore.exceptions import ClientError, ParamValidationError

from support.bad_world import FUNCTION, LAYER, world  # noqa: F401 (a fixture)

MODEL = botocore.session.get_session().get_service_model("lambda")
# Errors that every operation may answer with, whether its model names them or not.
EVERYWHERE = {
    "ValidationException", "SerializationException", "UnknownOperationException", "AccessDeniedException",
    "InvalidParameterValueException", "ResourceNotFoundException",
}
CHANGES = ("Add", "Create", "Delete", "Publish", "Put", "Remove", "Tag", "Untag", "Update")
# What runs as long as a client listens.
STREAMING = {"InvokeWithResponseStream"}
DEPTH = 3
KNOWN = {
    "FunctionName": FUNCTION,
    "LayerName": LAYER,
    "Qualifier": "1",
    "VersionNumber": 1,
    "Resource": f"arn:aws:lambda:us-east-1:000000000000:function:{FUNCTION}",
    "Arn": f"arn:aws:lambda:us-east-1:000000000000:layer:{LAYER}:1",
    "UUID": "00000000-0000-4000-8000-000000000000",
    "Role": "arn:aws:iam::000000000000:role/test",
}


def usual(shape, name="", depth=0):
    """A value that a shape may have, with its required members only."""
    kind = shape.type_name
    if kind == "structure":
        return {member: usual(shape.members[member], member, depth + 1) for member in shape.required_members}
    if kind == "list":
        return [usual(shape.member, "", depth + 1)] if depth < DEPTH else []
    if kind == "map":
        return {"key": usual(shape.value, "", depth + 1)} if depth < DEPTH else {}
    if name in KNOWN:
        return KNOWN[name]
    simple = {"integer": 1, "long": 1, "double": 0.5, "float": 0.5, "boolean": False, "blob": b"{}", "timestamp": 1}
    return simple.get(kind) or (shape.enum[0] if getattr(shape, "enum", None) else "never")


def edges(shape):
    """Values at the ends of a shape and beyond them."""
    kind, meta = shape.type_name, shape.metadata
    yield None
    if kind in ("integer", "long"):
        yield from (-1, 0, 2**31 - 1, -(2**31))
        yield from (meta[end] + step for end, step in (("min", -1), ("max", 1)) if end in meta)
        yield "1x"
    elif kind in ("double", "float"):
        yield from (-0.1, 1e308, "x")
    elif kind == "boolean":
        yield "perhaps"
    elif kind == "string":
        yield from ("", "a b", "\u0000", "\U0001f600", "../..", "a" * (meta.get("max", 300) + 1 if meta.get("max", 300) < 5000 else 5000))
        yield 5
    elif kind == "list":
        yield from ([], ["x"] * 60, {}, [None])
    elif kind == "map":
        yield from ({}, {"": ""}, {"a" * 200: "b"}, [])
    elif kind == "structure":
        yield from ({}, [], "text")
    elif kind == "blob":
        yield from (b"", b"\xff\x00")


def requests(operation):
    """The usual input, and it with one member changed at a time."""
    shape = operation.input_shape
    base = usual(shape) if shape else {}
    yield base
    for member in shape.members if shape else ():
        for value in edges(shape.members[member]):
            yield {**copy.deepcopy(base), member: value}
        if member in base:
            yield {name: value for name, value in base.items() if name != member}


def aimed_away(operation, given):
    """What would change something is sent to what is not there: other tests hold what it does."""
    if not operation.name.startswith(CHANGES):
        return given
    missing = {KNOWN[member]: "missing" for member in ("FunctionName", "LayerName")}
    missing[KNOWN["Resource"]] = KNOWN["Resource"].replace(FUNCTION, "missing")
    return {member: missing.get(value, value) if isinstance(value, str) else value for member, value in given.items()}


def judge(operation, given, answer):
    code, status = answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]
    if status == 501:
        assert code == "NotImplementedException", (given, answer)
        return
    # HTTP has no word for a header with a control character: the connection's own answer has no body.
    in_a_header = code == "400" and "\0" in given.values()
    named = {shape.name for shape in operation.error_shapes} | EVERYWHERE
    assert 400 <= status < 500 and (code in named or in_a_header), (given, answer)


@pytest.mark.parametrize("name", [name for name in MODEL.operation_names if name not in STREAMING])
def test_no_input_fails_inside(client, world, name):
    operation = MODEL.operation_model(name)
    call = getattr(client, botocore.xform_name(name))
    asked = 0
    for given in requests(operation):
        given = aimed_away(operation, given)
        try:
            call(**given)
        except ClientError as error:
            judge(operation, given, error.response)
        except (ParamValidationError, TypeError, ValueError, AttributeError, KeyError):
            continue  # the client itself cannot write it
        asked += 1
    assert asked, "nothing was asked"


def test_the_function_is_as_it_was(client, world):
    assert client.get_function(FunctionName=FUNCTION)["Configuration"]["State"] == "Active"

"""Functions as resources: create, read, list, update, delete."""

import re
import urllib.request

import pytest
from botocore.exceptions import ClientError

from conftest import PYTHON, ROLE, unique
from support import raw
from support.packages import sha256, zip_of

CODE = "def handler(event, context):\n    return 'one'\n"
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")


def create(client, package=None, **args):
    given = {"Runtime": PYTHON, "Handler": "app.handler", "Role": ROLE, "Code": {"ZipFile": package or zip_of({"app.py": CODE})}}
    return client.create_function(**{**given, **args})


def fails(call, code, status, **args):
    """The error of a call that must be refused."""
    with pytest.raises(ClientError) as caught:
        call(**args)
    error = caught.value.response
    assert (error["Error"]["Code"], error["ResponseMetadata"]["HTTPStatusCode"]) == (code, status), error
    return error["Error"]["Message"]


def test_create_answers_with_the_whole_configuration(client):
    name, package = unique(), zip_of({"app.py": CODE})
    try:
        made = create(client, package, FunctionName=name)
        assert made["ResponseMetadata"]["HTTPStatusCode"] == 201
        expected = {
            "FunctionName": name,
            "FunctionArn": f"arn:aws:lambda:us-east-1:000000000000:function:{name}",
            "Runtime": PYTHON,
            "Role": ROLE,
            "Handler": "app.handler",
            "CodeSize": len(package),
            "CodeSha256": sha256(package),
            "Description": "",
            "Timeout": 3,
            "MemorySize": 128,
            "Version": "$LATEST",
            "TracingConfig": {"Mode": "PassThrough"},
            "PackageType": "Zip",
            "Architectures": ["x86_64"],
            "EphemeralStorage": {"Size": 512},
            "SnapStart": {"ApplyOn": "None", "OptimizationStatus": "Off"},
            "LoggingConfig": {"LogFormat": "Text", "LogGroup": f"/aws/lambda/{name}"},
            "State": "Pending",
            "StateReason": "The function is being created.",
            "StateReasonCode": "Creating",
        }
        assert {key: made.get(key) for key in expected} == expected
        assert UUID.match(made["RevisionId"])
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+0000", made["LastModified"])
        assert made["RuntimeVersionConfig"]["RuntimeVersionArn"].startswith("arn:aws:lambda:us-east-1::runtime:")
        assert not {"LastUpdateStatus", "Environment", "Layers", "VpcConfig", "DeadLetterConfig"} & made.keys()
    finally:
        client.delete_function(FunctionName=name)


def test_pending_becomes_active_with_a_new_revision(client, deploy):
    name = unique()
    made = create(client, FunctionName=name)
    try:
        client.get_waiter("function_active_v2").wait(FunctionName=name)
        ready = client.get_function_configuration(FunctionName=name)
        assert (ready["State"], ready["LastUpdateStatus"]) == ("Active", "Successful")
        assert not {"StateReason", "StateReasonCode", "LastUpdateStatusReason"} & ready.keys()
        assert ready["RevisionId"] != made["RevisionId"]
    finally:
        client.delete_function(FunctionName=name)


def test_the_older_waiters_end_too(client, deploy):
    function = deploy(CODE)
    for waiter in ("function_exists", "function_active", "function_updated"):
        client.get_waiter(waiter).wait(FunctionName=function.name)


def test_get_function_gives_a_link_that_downloads_the_zip(client, deploy):
    package = zip_of({"app.py": CODE, "data.bin": bytes(range(256)) * 100})
    function = deploy(package)
    got = client.get_function(FunctionName=function.name)
    assert got["Code"]["RepositoryType"] == "S3"
    with urllib.request.urlopen(got["Code"]["Location"]) as answer:
        assert answer.read() == package
    assert "Tags" not in got and "Concurrency" not in got
    assert got["Configuration"] == {k: v for k, v in client.get_function_configuration(FunctionName=function.name).items() if k != "ResponseMetadata"}


def test_a_changed_link_downloads_nothing(client, deploy):
    location = client.get_function(FunctionName=deploy(CODE).name)["Code"]["Location"]
    letter = "0" if location[-1] != "0" else "1"
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(location[:-1] + letter)
    assert caught.value.code in (400, 403, 404)


def test_what_was_set_comes_back(client, deploy):
    settings = {
        "Description": "läuft",
        "Timeout": 7,
        "MemorySize": 333,
        "EphemeralStorage": {"Size": 1024},
        "Environment": {"Variables": {"KEY": "wert ä 1", "OTHER": ""}},
        "Tags": {"team": "fire"},
    }
    function = deploy(CODE, **settings)
    got = client.get_function(FunctionName=function.name)
    assert got.get("Tags") == {"team": "fire"}
    del settings["Tags"]
    assert {key: got["Configuration"][key] for key in settings} == settings


def test_an_empty_environment_is_kept_as_empty(client, deploy):
    function = deploy(CODE, Environment={"Variables": {}})
    assert client.get_function_configuration(FunctionName=function.name)["Environment"] == {"Variables": {}}


@pytest.mark.parametrize("form", ["{name}", "function:{name}", "000000000000:function:{name}", "arn:aws:lambda:us-east-1:000000000000:function:{name}"])
def test_names_and_arns_mean_the_same(client, deploy, form):
    function = deploy(CODE)
    reference = form.format(name=function.name)
    unqualified = f"arn:aws:lambda:us-east-1:000000000000:function:{function.name}"
    assert client.get_function_configuration(FunctionName=reference)["FunctionArn"] == unqualified
    assert client.get_function_configuration(FunctionName=f"{reference}:$LATEST")["FunctionArn"] == f"{unqualified}:$LATEST"
    qualified = client.get_function(FunctionName=reference, Qualifier="$LATEST")["Configuration"]
    assert qualified["FunctionArn"] == f"{unqualified}:$LATEST"
    assert client.invoke(FunctionName=reference)["StatusCode"] == 200
    client.update_function_configuration(FunctionName=reference, Description="x")
    function.ready()
    client.delete_function(FunctionName=reference)
    fails(client.get_function, "ResourceNotFoundException", 404, FunctionName=function.name)


def test_functions_may_be_created_by_arn(client):
    name = unique()
    arn = f"arn:aws:lambda:us-east-1:000000000000:function:{name}"
    try:
        assert create(client, FunctionName=arn)["FunctionName"] == name
    finally:
        client.delete_function(FunctionName=name)


def test_missing_functions_are_named_in_the_error(client):
    arn = "arn:aws:lambda:us-east-1:000000000000:function:nowhere"
    for call in (client.get_function, client.get_function_configuration, client.delete_function):
        assert fails(call, "ResourceNotFoundException", 404, FunctionName="nowhere") == f"Function not found: {arn}"
    for call in (client.get_function, client.get_function_configuration):
        message = fails(call, "ResourceNotFoundException", 404, FunctionName="nowhere", Qualifier="$LATEST")
        assert message == f"Function not found: {arn}:$LATEST"
    fails(client.update_function_code, "ResourceNotFoundException", 404, FunctionName="nowhere", ZipFile=zip_of({"app.py": CODE}))
    fails(client.update_function_configuration, "ResourceNotFoundException", 404, FunctionName="nowhere", Timeout=4)
    assert fails(client.invoke, "ResourceNotFoundException", 404, FunctionName="nowhere") == f"Function not found: {arn}:$LATEST"


def test_unknown_qualifiers_are_named_in_the_error(client, deploy):
    function = deploy(CODE)
    arn = f"arn:aws:lambda:us-east-1:000000000000:function:{function.name}"
    for qualifier in ("7", "prod", "$latest"):
        message = fails(client.get_function, "ResourceNotFoundException", 404, FunctionName=function.name, Qualifier=qualifier)
        assert message == f"Function not found: {arn}:{qualifier}"
        fails(client.invoke, "ResourceNotFoundException", 404, FunctionName=function.name, Qualifier=qualifier)


def test_qualifiers_that_differ_are_refused_before_the_function_is_looked_for(client):
    for call in (client.get_function, client.get_function_configuration, client.delete_function, client.invoke):
        message = fails(call, "InvalidParameterValueException", 400, FunctionName="nowhere:1", Qualifier="2")
        assert message == "The derived qualifier from the function name does not match the specified qualifier."


def test_other_regions_are_not_reachable(client):
    arn = "arn:aws:lambda:eu-west-1:000000000000:function:f"
    message = fails(client.get_function, "ResourceNotFoundException", 404, FunctionName=arn)
    assert message == "Functions from 'eu-west-1' are not reachable in this region ('us-east-1')"


def test_functions_of_other_accounts_are_refused_with_the_reason(client):
    arn = "arn:aws:lambda:us-east-1:222222222222:function:f"
    calls = ((client.get_function, "GetFunction"), (client.invoke, "InvokeFunction"), (client.delete_function, "DeleteFunction"))
    for call, action in calls:
        assert fails(call, "AccessDeniedException", 403, FunctionName=arn) == (
            f"User: arn:aws:iam::000000000000:root is not authorized to perform: lambda:{action} on resource: {arn} "
            f"because no resource-based policy allows the lambda:{action} action"
        )
    fails(client.list_tags, "AccessDeniedException", 403, Resource=arn)


def test_a_name_is_taken_once(client, deploy):
    function = deploy(CODE)
    message = fails(lambda **a: create(client, **a), "ResourceConflictException", 409, FunctionName=function.name)
    assert message == f"Function already exist: {function.name}"


def test_latest_cannot_be_deleted_alone(client):
    message = fails(client.delete_function, "InvalidParameterValueException", 400, FunctionName="nowhere", Qualifier="$LATEST")
    assert message == "$LATEST version cannot be deleted without deleting the function."


def test_delete_answers_with_nothing(client, deploy):
    function = deploy(CODE)
    assert client.delete_function(FunctionName=function.name)["ResponseMetadata"]["HTTPStatusCode"] == 204
    fails(client.delete_function, "ResourceNotFoundException", 404, FunctionName=function.name)


def test_lists_are_paged(alone):
    from conftest import client_of

    client = client_of(alone())
    package = zip_of({"app.py": CODE})
    names = [f"list-{n:02}" for n in range(53)]
    for name in names:
        create(client, package, FunctionName=name)
    first = client.list_functions()
    assert len(first["Functions"]) == 50 and first["NextMarker"]
    assert not {"State", "LastUpdateStatus", "RuntimeVersionConfig"} & first["Functions"][0].keys()
    assert len(client.list_functions(MaxItems=10000)["Functions"]) == 50
    pages = list(client.get_paginator("list_functions").paginate(PaginationConfig={"PageSize": 20}))
    assert [len(page["Functions"]) for page in pages] == [20, 20, 13]
    assert sorted(f["FunctionName"] for page in pages for f in page["Functions"]) == names
    assert not pages[-1].get("NextMarker")


def test_both_spellings_of_the_list_path(server):
    for path in ("/2015-03-31/functions", "/2015-03-31/functions/"):
        assert raw.request(server, "GET", path).status == 200


def test_update_code(client, deploy):
    function = deploy(CODE)
    before = client.get_function_configuration(FunctionName=function.name)
    package = zip_of({"app.py": "def handler(event, context):\n    return 'two'\n"})
    assert function.call() == "one"
    answer = client.update_function_code(FunctionName=function.name, ZipFile=package)
    assert (answer["State"], answer["LastUpdateStatus"], answer["LastUpdateStatusReasonCode"]) == ("Active", "InProgress", "Creating")
    assert answer["LastUpdateStatusReason"] == "The function is being created."
    assert (answer["CodeSha256"], answer["CodeSize"]) == (sha256(package), len(package))
    function.ready()
    after = client.get_function_configuration(FunctionName=function.name)
    assert len({before["RevisionId"], answer["RevisionId"], after["RevisionId"]}) == 3
    assert after["LastUpdateStatus"] == "Successful" and "LastUpdateStatusReason" not in after
    assert function.call() == "two"


def test_update_configuration_changes_what_is_given_only(client, deploy):
    code = "import os\ndef handler(event, context):\n    return [os.environ.get('KEY'), os.environ.get('NEW'), context.memory_limit_in_mb]\n"
    function = deploy(code, Environment={"Variables": {"KEY": "1"}}, Description="d", Timeout=9)
    assert function.call() == ["1", None, "1769"]
    function.update(Environment={"Variables": {"NEW": "2"}}, MemorySize=512)
    assert function.call() == [None, "2", "512"]
    got = client.get_function_configuration(FunctionName=function.name)
    assert (got["Description"], got["Timeout"], got["Handler"]) == ("d", 9, "app.handler")


def test_a_stale_revision_is_refused(client, deploy):
    function = deploy(CODE)
    stale = "00000000-0000-4000-8000-000000000000"
    text = "The Revision Id provided does not match the latest Revision Id. Call the GetFunction/GetAlias API to retrieve the latest Revision Id"
    message = fails(client.update_function_configuration, "PreconditionFailedException", 412, FunctionName=function.name, Timeout=4, RevisionId=stale)
    assert message == text
    package = zip_of({"app.py": CODE + "#"})
    assert fails(client.update_function_code, "PreconditionFailedException", 412, FunctionName=function.name, ZipFile=package, RevisionId=stale) == text
    revision = client.get_function_configuration(FunctionName=function.name)["RevisionId"]
    client.update_function_configuration(FunctionName=function.name, Timeout=4, RevisionId=revision)
    function.ready()


def test_dry_run_of_an_update_changes_nothing(client, deploy):
    function = deploy(CODE)
    before = client.get_function_configuration(FunctionName=function.name)
    package = zip_of({"app.py": "def handler(event, context):\n    return 'dry'\n"})
    answer = client.update_function_code(FunctionName=function.name, ZipFile=package, DryRun=True)
    assert answer["CodeSha256"] == sha256(package)
    after = client.get_function_configuration(FunctionName=function.name)
    assert (after["CodeSha256"], after["RevisionId"]) == (before["CodeSha256"], before["RevisionId"])
    fails(client.update_function_code, "InvalidParameterValueException", 400, FunctionName=function.name, ZipFile=b"no zip", DryRun=True)


def test_every_answer_has_a_request_id(client):
    assert UUID.match(client.list_functions()["ResponseMetadata"]["RequestId"])
    with pytest.raises(ClientError) as caught:
        client.get_function(FunctionName="nowhere")
    assert UUID.match(caught.value.response["ResponseMetadata"]["RequestId"])

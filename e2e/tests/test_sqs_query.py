"""SQS's older protocol: forms in, XML out, as clients of before 2023 speak it."""

import glob
import gzip
import json
import os
import urllib.error
import urllib.parse
import urllib.request
import xml.etree.ElementTree as ET

import botocore
import botocore.session
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from conftest import unique
from support.sources import sqs_of

SPACE = "{http://queue.amazonaws.com/doc/2012-11-05/}"
MEMBERS = {
    "Attributes": "Attribute", "MessageAttributes": "MessageAttribute", "MessageSystemAttributes": "MessageSystemAttribute",
    "Tags": "Tag", "tags": "Tag",
}
ITEMS = {
    "AttributeNameList": "AttributeName", "MessageSystemAttributeList": "MessageSystemAttributeName",
    "MessageAttributeNameList": "MessageAttributeName", "AWSAccountIdList": "AWSAccountId", "ActionNameList": "ActionName",
    "QueueUrlList": "QueueUrl", "TagKeyList": "TagKey", "MessageList": "Message", "StringList": "StringListValue",
    "BinaryList": "BinaryListValue",
}


def older_model():
    """The model as it was when the protocol was the query protocol."""
    [path] = glob.glob(os.path.join(os.path.dirname(botocore.__file__), "data/sqs/*/service-2.json.gz"))
    model = json.loads(gzip.open(path).read())
    model["metadata"].update(protocol="query", protocols=["query"], xmlNamespace=SPACE[1:-1])
    for known in ("awsQueryCompatible", "targetPrefix", "jsonVersion", "auth"):
        model["metadata"].pop(known, None)
    for name, operation in model["operations"].items():
        if "output" in operation:
            operation["output"]["resultWrapper"] = f"{name}Result"
    for name, shape in model["shapes"].items():
        if shape["type"] == "list":
            shape["member"]["locationName"] = ITEMS.get(name, shape["member"]["shape"])
        if shape["type"] == "map":
            shape["key"]["locationName"] = "Key" if name == "TagMap" else "Name"
            shape["value"]["locationName"] = "Value"
        for member, target in shape.get("members", {}).items():
            if member in MEMBERS:
                target["locationName"] = MEMBERS[member]
    return model


@pytest.fixture(scope="module")
def older(server, tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    (folder / "sqs/2012-11-05").mkdir(parents=True)
    (folder / "sqs/2012-11-05/service-2.json").write_text(json.dumps(older_model()))
    session = botocore.session.get_session()
    session.get_component("data_loader").search_paths.insert(0, str(folder))
    client = session.create_client(
        "sqs", endpoint_url=server.url, region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test",
        config=Config(retries={"total_max_attempts": 1}))
    assert client.meta.service_model.metadata["protocol"] == "query"
    return client


def test_an_older_client_does_all_that_a_new_one_does(server, older):
    name = unique("older") + ".fifo"
    attributes = {"FifoQueue": "true", "VisibilityTimeout": "7"}
    url = older.create_queue(QueueName=name, Attributes=attributes, tags={"k": "v"})["QueueUrl"]
    assert older.get_queue_url(QueueName=name)["QueueUrl"] == url
    assert url in older.list_queues(QueueNamePrefix=name)["QueueUrls"]
    assert older.list_queue_tags(QueueUrl=url)["Tags"] == {"k": "v"}
    older.tag_queue(QueueUrl=url, Tags={"l": "w"})
    older.untag_queue(QueueUrl=url, TagKeys=["k"])
    assert older.list_queue_tags(QueueUrl=url)["Tags"] == {"l": "w"}
    older.set_queue_attributes(QueueUrl=url, Attributes={"DelaySeconds": "0", "ContentBasedDeduplication": "true"})
    shown = older.get_queue_attributes(QueueUrl=url, AttributeNames=["VisibilityTimeout", "ContentBasedDeduplication"])["Attributes"]
    assert shown == {"VisibilityTimeout": "7", "ContentBasedDeduplication": "true"}
    assert older.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"] == \
        sqs_of(server).get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]

    given = {"text": {"DataType": "String", "StringValue": "<ä&\r>"}, "bytes": {"DataType": "Binary", "BinaryValue": b"\x00\xff"}}
    sent = older.send_message(QueueUrl=url, MessageBody="<body & \t\r\n>", MessageGroupId="g", MessageAttributes=given,
                              MessageSystemAttributes={"AWSTraceHeader": {"DataType": "String", "StringValue": "Root=1-5759e988-bd862e3fe1be46a994272793"}})
    assert sent["MD5OfMessageSystemAttributes"] and sent["SequenceNumber"]
    entries = [{"Id": "a", "MessageBody": "a", "MessageGroupId": "g"}, {"Id": "b", "MessageBody": "b"}]
    batch = older.send_message_batch(QueueUrl=url, Entries=entries)
    assert [entry["Id"] for entry in batch["Successful"]] == ["a"]
    assert [(entry["Id"], entry["Code"], entry["SenderFault"]) for entry in batch["Failed"]] == [("b", "MissingParameter", True)]
    # botocore compares the checksums with its own.
    messages = older.receive_message(QueueUrl=url, MaxNumberOfMessages=10, AttributeNames=["All"], MessageAttributeNames=["All"])["Messages"]
    assert [message["Body"] for message in messages] == ["<body & \t\r\n>", "a"]
    assert messages[0]["MessageAttributes"] == given
    assert messages[0]["Attributes"]["MessageGroupId"] == "g" and "AWSTraceHeader" in messages[0]["Attributes"]
    older.change_message_visibility(QueueUrl=url, ReceiptHandle=messages[0]["ReceiptHandle"], VisibilityTimeout=20)
    change = [{"Id": "x", "ReceiptHandle": messages[1]["ReceiptHandle"], "VisibilityTimeout": 20}]
    assert [entry["Id"] for entry in older.change_message_visibility_batch(QueueUrl=url, Entries=change)["Successful"]] == ["x"]
    older.delete_message(QueueUrl=url, ReceiptHandle=messages[0]["ReceiptHandle"])
    gone = [{"Id": "y", "ReceiptHandle": messages[1]["ReceiptHandle"]}, {"Id": "z", "ReceiptHandle": "x"}]
    answer = older.delete_message_batch(QueueUrl=url, Entries=gone)
    assert [entry["Id"] for entry in answer["Successful"]] == ["y"]
    assert [(entry["Id"], entry["Code"]) for entry in answer["Failed"]] == [("z", "ReceiptHandleIsInvalid")]
    assert "Messages" not in older.receive_message(QueueUrl=url)

    older.add_permission(QueueUrl=url, Label="l", AWSAccountIds=["111111111111"], Actions=["SendMessage", "ReceiveMessage"])
    older.remove_permission(QueueUrl=url, Label="l")
    arn = f"arn:aws:sqs:us-east-1:000000000000:{name}"
    assert older.list_message_move_tasks(SourceArn=arn).get("Results", []) == []
    assert older.list_dead_letter_source_queues(QueueUrl=url).get("queueUrls", []) == []
    older.purge_queue(QueueUrl=url)
    older.delete_queue(QueueUrl=url)
    with pytest.raises(ClientError) as caught:
        older.get_queue_url(QueueName=name)
    assert caught.value.response["Error"]["Code"] == "AWS.SimpleQueueService.NonExistentQueue"
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400


def ask(url, method="POST", sign=True, **form):
    text = urllib.parse.urlencode({"Version": "2012-11-05", **form})
    if method == "GET":
        url, data = f"{url}?{text}", None
    else:
        data = text.encode()
    request = AWSRequest(method, url, data=data, headers={"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"} if data else {})
    if sign:
        SigV4Auth(Credentials("test", "test"), "sqs", "us-east-1").add_auth(request)
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data, dict(request.headers), method=method)) as answer:
            return answer.status, ET.fromstring(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, ET.fromstring(error.read())


@pytest.mark.parametrize("sign", [True, False])
@pytest.mark.parametrize("method", ["POST", "GET"])
def test_a_form_goes_to_the_url_of_its_queue(server, method, sign):
    name = unique("form")
    status, answer = ask(server.url, method, sign, Action="CreateQueue", QueueName=name, **{"Attribute.1.Name": "DelaySeconds", "Attribute.1.Value": "0"})
    url = answer.findtext(f"{SPACE}CreateQueueResult/{SPACE}QueueUrl")
    assert (status, answer.tag, url) == (200, f"{SPACE}CreateQueueResponse", f"{server.url}/000000000000/{name}")
    # As the documentation shows it, without a number.
    assert ask(url, method, sign, Action="SetQueueAttributes", **{"Attribute.Name": "VisibilityTimeout", "Attribute.Value": "35"})[0] == 200
    status, answer = ask(url, method, sign, Action="SendMessage", MessageBody="a & b")
    assert status == 200 and answer.findtext(f"{SPACE}ResponseMetadata/{SPACE}RequestId")
    status, answer = ask(url, method, sign, Action="ReceiveMessage", **{"AttributeName.1": "All"})
    message = answer.find(f"{SPACE}ReceiveMessageResult/{SPACE}Message")
    assert message.findtext(f"{SPACE}Body") == "a & b"
    names = {attribute.findtext(f"{SPACE}Name") for attribute in message.findall(f"{SPACE}Attribute")}
    assert {"SenderId", "SentTimestamp"} < names
    status, answer = ask(url, method, sign, Action="DeleteMessage", ReceiptHandle=message.findtext(f"{SPACE}ReceiptHandle"))
    assert status == 200 and answer.find(f"{SPACE}DeleteMessageResult") is None
    status, answer = ask(url, method, sign, Action="ReceiveMessage", MaxNumberOfMessages="11")
    error = answer.find(f"{SPACE}Error")
    assert (status, error.findtext(f"{SPACE}Type"), error.findtext(f"{SPACE}Code")) == (400, "Sender", "InvalidParameterValue")
    status, answer = ask(url + "x", method, sign, Action="ReceiveMessage")
    assert (status, answer.findtext(f"{SPACE}Error/{SPACE}Code")) == (400, "AWS.SimpleQueueService.NonExistentQueue")
    assert ask(url, method, sign, Action="DeleteQueue")[0] == 200

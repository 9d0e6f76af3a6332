"""What buckets tell: functions, queues, topics and EventBridge hear of objects; nothing is lost when the server is killed."""

import io
import json
import threading
import urllib.parse

import pytest

from conftest import client_of, deploys_on, service_on, unique
from support.clients import service_of
from support.errors import refusal
from support.events import SAY, heard, said
from support.packages import boto, zip_of
from support.server import wait_until

ARN = "arn:aws:lambda:us-east-1:000000000000:function:"

# Reads what was uploaded, and writes it back in capitals.
CAPITALS = """
import boto3, os, urllib.parse
s3 = boto3.client("s3")
def handler(event, context):
    for record in event["Records"]:
        bucket, key = record["s3"]["bucket"]["name"], urllib.parse.unquote_plus(record["s3"]["object"]["key"])
        body = s3.get_object(Bucket=bucket, Key=key)["Body"].read().decode()
        s3.put_object(Bucket=bucket, Key="out/" + key.removeprefix("in/"), Body=body.upper().encode())
"""


s3 = service_on("quick", "s3")
sqs = service_on("quick", "sqs")
deploy = deploys_on("quick")


@pytest.fixture(scope="module")
def layer(quick):
    return client_of(quick).publish_layer_version(LayerName=unique("boto"), Content={"ZipFile": zip_of(boto(("s3",)))})["LayerVersionArn"]


def bucket_of(s3):
    name = unique("bucket").replace("_", "-").lower()
    s3.create_bucket(Bucket=name)
    return name


def queue_for(sqs, source):
    url = sqs.create_queue(QueueName=unique("q"))["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    if source:
        service = "sns.amazonaws.com" if source.startswith("arn:aws:sns") else "s3.amazonaws.com"
        statement = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sqs:SendMessage", "Resource": arn, "Condition": {"ArnLike": {"aws:SourceArn": source}}}
        sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps({"Version": "2012-10-17", "Statement": [statement]})})
    return url, arn


def taken(sqs, url, count=1):
    seen = []
    while len(seen) < count:
        found = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=20, MaxNumberOfMessages=10).get("Messages", [])
        assert found, f"only {len(seen)} of {count} messages have come"
        for message in found:
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        seen += [json.loads(message["Body"]) for message in found]
    return seen


def tell(s3, bucket, **what):
    s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration=what)


def rule(kind, arn, events, *filters, **more):
    shown = {kind: arn, "Events": events, **more}
    if filters:
        shown["Filter"] = {"Key": {"FilterRules": [{"Name": name, "Value": value} for name, value in filters]}}
    return shown


def records(messages):
    return [record for message in messages for record in message["Records"]]


def test_a_queue_hears_what_it_asked_for(s3, sqs):
    bucket = bucket_of(s3)
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    url, arn = queue_for(sqs, f"arn:aws:s3:::{bucket}")
    wanted = rule("QueueArn", arn, ["s3:ObjectCreated:*", "s3:ObjectRemoved:*", "s3:ObjectTagging:*"], ("prefix", "in/"), ("suffix", ".txt"), Id="mine")
    tell(s3, bucket, QueueConfigurations=[wanted])
    (shown,) = s3.get_bucket_notification_configuration(Bucket=bucket)["QueueConfigurations"]
    assert (shown["Id"], shown["QueueArn"], shown["Events"]) == ("mine", arn, wanted["Events"])
    assert [(one["Name"].lower(), one["Value"]) for one in shown["Filter"]["Key"]["FilterRules"]] == [("prefix", "in/"), ("suffix", ".txt")]
    (test,) = taken(sqs, url)
    assert (test["Service"], test["Event"], test["Bucket"]) == ("Amazon S3", "s3:TestEvent", bucket)

    s3.put_object(Bucket=bucket, Key="other.txt", Body=b"nobody hears")
    put = s3.put_object(Bucket=bucket, Key="in/a b+ä.txt", Body=b"hello")
    (record,) = records(taken(sqs, url))
    assert (record["eventVersion"], record["eventSource"], record["awsRegion"], record["eventName"]) == ("2.1", "aws:s3", "us-east-1", "ObjectCreated:Put")
    assert record["requestParameters"] == {"sourceIPAddress": "127.0.0.1"}
    assert record["responseElements"]["x-amz-request-id"] == put["ResponseMetadata"]["RequestId"]
    told = record["s3"]
    assert (told["s3SchemaVersion"], told["configurationId"], told["bucket"]["name"], told["bucket"]["arn"]) == ("1.0", "mine", bucket, f"arn:aws:s3:::{bucket}")
    assert told["object"]["key"] == urllib.parse.quote_plus("in/a b+ä.txt", safe="/")
    assert (told["object"]["size"], told["object"]["eTag"], told["object"]["versionId"]) == (5, put["ETag"].strip('"'), put["VersionId"])

    s3.copy_object(Bucket=bucket, Key="in/copy.txt", CopySource={"Bucket": bucket, "Key": "other.txt"})
    s3.put_object_tagging(Bucket=bucket, Key="in/copy.txt", Tagging={"TagSet": [{"Key": "k", "Value": "v"}]})
    s3.delete_object_tagging(Bucket=bucket, Key="in/copy.txt")
    marker = s3.delete_object(Bucket=bucket, Key="in/copy.txt")["VersionId"]
    s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "in/copy.txt", "VersionId": marker}]})
    upload = s3.create_multipart_upload(Bucket=bucket, Key="in/parts.txt")["UploadId"]
    part = s3.upload_part(Bucket=bucket, Key="in/parts.txt", UploadId=upload, PartNumber=1, Body=b"part")["ETag"]
    s3.complete_multipart_upload(Bucket=bucket, Key="in/parts.txt", UploadId=upload, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part}]})
    heard = records(taken(sqs, url, 6))
    heard.sort(key=lambda record: record["s3"]["object"]["sequencer"])
    assert sorted(record["eventName"] for record in heard) == sorted(["ObjectCreated:Copy", "ObjectTagging:Put", "ObjectTagging:Delete", "ObjectRemoved:DeleteMarkerCreated", "ObjectRemoved:Delete", "ObjectCreated:CompleteMultipartUpload"])
    by_name = {record["eventName"]: record["s3"]["object"] for record in heard}
    assert by_name["ObjectRemoved:DeleteMarkerCreated"]["versionId"] == by_name["ObjectRemoved:Delete"]["versionId"] == marker
    assert by_name["ObjectRemoved:DeleteMarkerCreated"]["sequencer"] < by_name["ObjectRemoved:Delete"]["sequencer"]

    tell(s3, bucket)
    assert "QueueConfigurations" not in s3.get_bucket_notification_configuration(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="in/late.txt", Body=b"")
    assert "Messages" not in sqs.receive_message(QueueUrl=url)


def test_who_is_to_hear_must_be_there_and_let_the_bucket_in(s3, sqs, deploy):
    bucket = bucket_of(s3)
    put = lambda **what: refusal(s3.put_bucket_notification_configuration, Bucket=bucket, NotificationConfiguration=what)  # noqa: E731
    unable = ("InvalidArgument", "Unable to validate the following destination configurations")
    _, closed = queue_for(sqs, None)
    created = ["s3:ObjectCreated:*"]
    assert put(QueueConfigurations=[rule("QueueArn", closed, created)]) == unable
    assert put(QueueConfigurations=[rule("QueueArn", closed + "-not-there", created)]) == unable
    assert put(TopicConfigurations=[rule("TopicArn", "arn:aws:sns:us-east-1:000000000000:none", created)]) == unable
    function = deploy(SAY)
    assert put(LambdaFunctionConfigurations=[rule("LambdaFunctionArn", ARN + function.name, created)]) == unable
    _, arn = queue_for(sqs, f"arn:aws:s3:::{bucket}")
    twice = [rule("QueueArn", arn, created, ("prefix", "a")), rule("QueueArn", arn, ["s3:ObjectCreated:Put"], ("prefix", "ab"))]
    code, text = put(QueueConfigurations=twice)
    assert code == "InvalidArgument" and text.startswith("Configuration is ambiguously defined.")
    assert put(QueueConfigurations=[rule("QueueArn", arn, ["s3:Everything"])])[0] == "InvalidArgument"
    assert put(QueueConfigurations=[rule("QueueArn", arn, ["s3:Replication:*"])])[0] == "NotImplemented"
    assert "QueueConfigurations" not in s3.get_bucket_notification_configuration(Bucket=bucket), "what is refused changes nothing"


def test_an_upload_has_a_function_write_another_object(quick, s3, deploy, layer):
    bucket = bucket_of(s3)
    function = deploy(CAPITALS, Timeout=30, Layers=[layer])
    function.client.add_permission(FunctionName=function.name, StatementId="s", Action="lambda:InvokeFunction", Principal="s3.amazonaws.com", SourceArn=f"arn:aws:s3:::{bucket}", SourceAccount="000000000000")
    tell(s3, bucket, LambdaFunctionConfigurations=[rule("LambdaFunctionArn", ARN + function.name, ["s3:ObjectCreated:*"], ("prefix", "in/"))])
    s3.upload_fileobj(io.BytesIO(b"hello"), bucket, "in/some file.txt")

    def written():
        return [one["Key"] for one in s3.list_objects_v2(Bucket=bucket, Prefix="out/").get("Contents", [])]

    wait_until(lambda: written() == ["out/some file.txt"], 60, lambda: f"{written()}\n{quick.log_text()[-2000:]}")
    assert s3.get_object(Bucket=bucket, Key="out/some file.txt")["Body"].read() == b"HELLO"


def test_a_function_that_leads_to_itself_by_a_bucket_is_stopped(quick, s3, sqs, deploy, layer):
    bucket = bucket_of(s3)
    again = "import boto3\ns3 = boto3.client('s3')\ndef handler(event, context):\n    print('SAID {\"event\": 1}')\n    s3.put_object(Bucket=event['Records'][0]['s3']['bucket']['name'], Key=context.aws_request_id, Body=b'')\n"
    function = deploy(again, Timeout=30, Layers=[layer])
    dead, arn = queue_for(sqs, None)
    sides = {"OnSuccess": {}, "OnFailure": {"Destination": arn}}
    function.client.put_function_event_invoke_config(FunctionName=function.name, DestinationConfig=sides, MaximumRetryAttempts=0)
    function.client.add_permission(FunctionName=function.name, StatementId="s", Action="lambda:InvokeFunction", Principal="s3.amazonaws.com")
    tell(s3, bucket, LambdaFunctionConfigurations=[rule("LambdaFunctionArn", ARN + function.name, ["s3:ObjectCreated:*"])])
    s3.put_object(Bucket=bucket, Key="first", Body=b"")
    heard(quick, function, 16)
    (record,) = taken(sqs, dead)
    assert record["requestContext"]["approximateInvokeCount"] == 0
    assert len(said(quick, function)) == 16 and len(s3.list_objects_v2(Bucket=bucket)["Contents"]) == 17


def test_topics_and_the_event_bus_hear_too(quick, s3, sqs):
    bucket = bucket_of(s3)
    sns, events = service_of(quick, "sns"), service_of(quick, "events")
    topic = sns.create_topic(Name=unique("t"))["TopicArn"]
    statement = {"Effect": "Allow", "Principal": {"Service": "s3.amazonaws.com"}, "Action": "sns:Publish", "Resource": topic}
    sns.set_topic_attributes(TopicArn=topic, AttributeName="Policy", AttributeValue=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
    url, arn = queue_for(sqs, topic)
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    bus_url = sqs.create_queue(QueueName=unique("q"))["QueueUrl"]
    bus_arn = sqs.get_queue_attributes(QueueUrl=bus_url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    open_to = {"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": "sqs:SendMessage", "Resource": bus_arn}
    sqs.set_queue_attributes(QueueUrl=bus_url, Attributes={"Policy": json.dumps({"Version": "2012-10-17", "Statement": [open_to]})})
    name = unique("r")
    events.put_rule(Name=name, EventPattern=json.dumps({"source": ["aws.s3"], "detail": {"bucket": {"name": [bucket]}}}))
    events.put_targets(Rule=name, Targets=[{"Id": "1", "Arn": bus_arn}])
    tell(s3, bucket, TopicConfigurations=[rule("TopicArn", topic, ["s3:ObjectCreated:*"])], EventBridgeConfiguration={})
    assert json.loads(taken(sqs, url)[0]["Message"])["Event"] == "s3:TestEvent"
    s3.put_object(Bucket=bucket, Key="k e y", Body=b"hello")
    (message,) = taken(sqs, url)
    assert message["Subject"] == "Amazon S3 Notification"
    assert json.loads(message["Message"])["Records"][0]["s3"]["object"]["key"] == "k+e+y"
    (event,) = taken(sqs, bus_url)
    assert (event["source"], event["detail-type"], event["resources"]) == ("aws.s3", "Object Created", [f"arn:aws:s3:::{bucket}"])
    detail = event["detail"]
    assert (detail["bucket"], detail["object"]["key"], detail["object"]["size"], detail["reason"]) == ({"name": bucket}, "k e y", 5, "PutObject")
    events.remove_targets(Rule=name, Ids=["1"])
    events.delete_rule(Name=name)


def test_what_was_put_is_told_after_a_kill(alone):
    server = alone()
    s3, sqs = service_of(server, "s3"), service_of(server, "sqs")
    bucket = bucket_of(s3)
    url, arn = queue_for(sqs, f"arn:aws:s3:::{bucket}")
    tell(s3, bucket, QueueConfigurations=[rule("QueueArn", arn, ["s3:ObjectCreated:*"])])
    taken(sqs, url)
    acknowledged = []

    def put():
        for number in range(10_000):
            try:
                s3.put_object(Bucket=bucket, Key=str(number), Body=b"x")
            except Exception:  # noqa: BLE001 - the server is gone
                return
            acknowledged.append(str(number))

    writer = threading.Thread(target=put)
    writer.start()
    wait_until(lambda: len(acknowledged) > 30, 60, "nothing is acknowledged")
    server.kill()
    writer.join()
    server.start()
    sqs = service_of(server, "sqs")
    url = sqs.get_queue_url(QueueName=arn.split(":")[-1])["QueueUrl"]
    told = set()
    while not set(acknowledged) <= told:
        told |= {record["s3"]["object"]["key"] for record in records(taken(sqs, url))}

"""SNS: topics, subscriptions of every kind, what is published; dead letters; and nothing lost when the server is killed."""

import base64
import http.server
import json
import queue
import re
import threading
import urllib.request

import pytest

from conftest import deploys_on, service_on, unique
from support.clients import service_of
from support.errors import refusal
from support.events import SAY, heard
from support.server import wait_until


def clients(server):
    return service_of(server, "sns"), service_of(server, "sqs")


sns = service_on("quick", "sns")
sqs = service_on("quick", "sqs")
deploy = deploys_on("quick")


def queue_for(sqs, topic=None, **attributes):
    """A queue that a topic may send to: its URL and its ARN."""
    url = sqs.create_queue(QueueName=unique("q"), Attributes=attributes)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    if topic:
        statement = {"Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"}, "Action": "sqs:SendMessage", "Resource": arn, "Condition": {"ArnEquals": {"aws:SourceArn": topic}}}
        sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps({"Version": "2012-10-17", "Statement": [statement]})})
    return url, arn


def taken(sqs, url, count=1):
    """So many messages, taken away."""
    seen = []
    while len(seen) < count:
        found = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=20, MaxNumberOfMessages=10, MessageAttributeNames=["All"], AttributeNames=["All"]).get("Messages", [])
        assert found, f"only {len(seen)} of {count} messages have come"
        for message in found:
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        seen += found
    return seen


def test_topics_are_made_once_shown_changed_and_deleted(sns):
    name = unique("t")
    arn = sns.create_topic(Name=name, Attributes={"DisplayName": "d"}, Tags=[{"Key": "k", "Value": "v"}])["TopicArn"]
    assert arn == f"arn:aws:sns:us-east-1:000000000000:{name}"
    assert sns.create_topic(Name=name)["TopicArn"] == arn
    assert refusal(sns.create_topic, Name=name, Attributes={"DisplayName": "other"}) == ("InvalidParameter", "Invalid parameter: Attributes Reason: Topic already exists with different attributes")
    assert refusal(sns.create_topic, Name="a b") == ("InvalidParameter", "Invalid parameter: Topic Name")
    assert arn in [topic["TopicArn"] for page in sns.get_paginator("list_topics").paginate() for topic in page["Topics"]]
    sns.set_topic_attributes(TopicArn=arn, AttributeName="DisplayName", AttributeValue="e")
    shown = sns.get_topic_attributes(TopicArn=arn)["Attributes"]
    assert (shown["DisplayName"], shown["Owner"], shown["SubscriptionsConfirmed"]) == ("e", "000000000000", "0")
    assert json.loads(shown["Policy"])["Id"] == "__default_policy_ID"
    assert refusal(sns.set_topic_attributes, TopicArn=arn, AttributeName="KmsMasterKeyId", AttributeValue="k")[1] == "Hearth does not have keys of KMS for topics."
    sns.tag_resource(ResourceArn=arn, Tags=[{"Key": "l", "Value": "w"}])
    sns.untag_resource(ResourceArn=arn, TagKeys=["k"])
    assert sns.list_tags_for_resource(ResourceArn=arn)["Tags"] == [{"Key": "l", "Value": "w"}]
    sns.delete_topic(TopicArn=arn)
    sns.delete_topic(TopicArn=arn)
    assert refusal(sns.get_topic_attributes, TopicArn=arn) == ("NotFound", "Topic does not exist")
    assert refusal(sns.publish, TopicArn=arn, Message="m") == ("NotFound", "Topic does not exist")


def test_a_queue_gets_envelopes_or_the_message_itself_and_only_what_its_filter_lets_through(sns, sqs):
    topic = sns.create_topic(Name=unique("t"))["TopicArn"]
    url, arn = queue_for(sqs, topic)
    raw_url, raw_arn = queue_for(sqs, topic)
    subscription = sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)["SubscriptionArn"]
    assert sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)["SubscriptionArn"] == subscription
    filtered = {"RawMessageDelivery": "true", "FilterPolicy": json.dumps({"kind": ["a"]})}
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=raw_arn, Attributes=filtered)
    for kind in ("b", "a"):
        attributes = {"kind": {"DataType": "String", "StringValue": kind}, "n": {"DataType": "Number", "StringValue": "1"}, "raw": {"DataType": "Binary", "BinaryValue": b"\0\1"}}
        sns.publish(TopicArn=topic, Subject="s", Message=f"said {kind}", MessageAttributes=attributes)
    first = taken(sqs, url, 2)[0]
    body = json.loads(first["Body"])
    assert list(body) == ["Type", "MessageId", "TopicArn", "Subject", "Message", "Timestamp", "SignatureVersion", "Signature", "SigningCertURL", "UnsubscribeURL", "MessageAttributes"]
    assert (body["Type"], body["TopicArn"], body["Subject"], body["Message"]) == ("Notification", topic, "s", "said b")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", body["Timestamp"])
    assert base64.b64decode(body["Signature"]) == b"unsigned", "no signature of AWS's is pretended"
    assert body["MessageAttributes"]["kind"] == {"Type": "String", "Value": "b"} and "MessageAttributes" not in first
    (raw,) = taken(sqs, raw_url)
    assert raw["Body"] == "said a"
    assert raw["MessageAttributes"]["raw"]["BinaryValue"] == b"\0\1" and raw["MessageAttributes"]["n"]["StringValue"] == "1"
    listed = sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
    assert {one["Endpoint"] for one in listed} == {arn, raw_arn}
    sns.unsubscribe(SubscriptionArn=subscription)
    sns.publish(TopicArn=topic, Message="again", MessageAttributes={"kind": {"DataType": "String", "StringValue": "a"}})
    assert taken(sqs, raw_url)[0]["Body"] == "again"
    assert "Messages" not in sqs.receive_message(QueueUrl=url), "who has unsubscribed hears nothing"


def test_the_scope_of_a_filter_may_be_the_body(sns, sqs):
    topic = sns.create_topic(Name=unique("t"))["TopicArn"]
    url, arn = queue_for(sqs, topic)
    attributes = {"RawMessageDelivery": "true", "FilterPolicy": json.dumps({"order": {"price": [{"numeric": [">", 10]}]}}), "FilterPolicyScope": "MessageBody"}
    subscription = sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes=attributes)["SubscriptionArn"]
    for price in (5, 20):
        sns.publish(TopicArn=topic, Message=json.dumps({"order": {"price": price}}))
    assert json.loads(taken(sqs, url)[0]["Body"]) == {"order": {"price": 20}}
    assert sns.get_subscription_attributes(SubscriptionArn=subscription)["Attributes"]["FilterPolicyScope"] == "MessageBody"
    code, text = refusal(sns.set_subscription_attributes, SubscriptionArn=subscription, AttributeName="FilterPolicy", AttributeValue="{")
    assert code == "InvalidParameter" and text.startswith("Invalid parameter: FilterPolicy")


def test_a_function_gets_the_event_where_its_policy_lets_the_topic(quick, sns, deploy):
    topic = sns.create_topic(Name=unique("t"))["TopicArn"]
    function = deploy(SAY)
    subscription = sns.subscribe(TopicArn=topic, Protocol="lambda", Endpoint=f"arn:aws:lambda:us-east-1:000000000000:function:{function.name}")["SubscriptionArn"]
    sns.publish(TopicArn=topic, Message="before it may")
    function.client.add_permission(FunctionName=function.name, StatementId="s", Action="lambda:InvokeFunction", Principal="sns.amazonaws.com", SourceArn=topic)
    message_id = sns.publish(TopicArn=topic, Message=json.dumps({"default": "d", "lambda": "for you"}), MessageStructure="json")["MessageId"]
    (run,) = heard(quick, function, 1)
    (record,) = run["event"]["Records"]
    assert (record["EventSource"], record["EventVersion"], record["EventSubscriptionArn"]) == ("aws:sns", "1.0", subscription)
    said = record["Sns"]
    assert (said["Type"], said["MessageId"], said["TopicArn"], said["Subject"], said["Message"], said["MessageAttributes"]) == ("Notification", message_id, topic, None, "for you", {})
    assert {"Timestamp", "SignatureVersion", "Signature", "SigningCertUrl", "UnsubscribeUrl"} < set(said)


def test_what_a_queue_does_not_let_in_is_a_dead_letter(sns, sqs):
    topic = sns.create_topic(Name=unique("t"))["TopicArn"]
    url, arn = queue_for(sqs)
    dead_url, dead_arn = queue_for(sqs, topic)
    redrive = json.dumps({"deadLetterTargetArn": dead_arn})
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes={"RedrivePolicy": redrive})
    sns.publish(TopicArn=topic, Message="m")
    assert json.loads(taken(sqs, dead_url)[0]["Body"])["Message"] == "m"
    assert "Messages" not in sqs.receive_message(QueueUrl=url)


def test_batches_succeed_and_fail_by_entry(sns, sqs):
    topic = sns.create_topic(Name=unique("t"))["TopicArn"]
    url, arn = queue_for(sqs, topic)
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes={"RawMessageDelivery": "true"})
    answer = sns.publish_batch(TopicArn=topic, PublishBatchRequestEntries=[{"Id": "1", "Message": "a"}, {"Id": "2", "Message": "b", "Subject": "\n"}, {"Id": "3", "Message": "c"}])
    assert [one["Id"] for one in answer["Successful"]] == ["1", "3"]
    assert [(one["Id"], one["Code"], one["SenderFault"]) for one in answer["Failed"]] == [("2", "InvalidParameter", True)]
    assert sorted(message["Body"] for message in taken(sqs, url, 2)) == ["a", "c"]
    same = [{"Id": "1", "Message": "a"}] * 2
    assert refusal(sns.publish_batch, TopicArn=topic, PublishBatchRequestEntries=same)[0] == "BatchEntryIdsNotDistinct"


@pytest.mark.parametrize("args, text", [
    ({"Message": ""}, "Invalid parameter: Empty message"),
    ({"Message": "x" * (256 * 1024 + 1)}, "Invalid parameter: Message too long"),
    ({"Message": "x", "Subject": "y" * 101}, "Invalid parameter: Subject"),
    ({"Message": "x", "MessageStructure": "json"}, "Invalid parameter: Message Structure - JSON message body failed to parse"),
    ({"Message": "{}", "MessageStructure": "json"}, "Invalid parameter: Message Structure - No default entry in JSON message body"),
])
def test_what_cannot_be_published_is_refused(sns, args, text):
    topic = sns.create_topic(Name=unique("t"))["TopicArn"]
    assert refusal(sns.publish, TopicArn=topic, **args) == ("InvalidParameter", text)


@pytest.mark.parametrize("protocol, endpoint, text", [
    ("email", "a@b", "Hearth does not have subscriptions of protocol email: it has sqs, lambda, http and https."),
    ("sqs", "q", "Invalid parameter: SQS endpoint ARN"),
    ("http", "https://h", "Invalid parameter: Endpoint must match the specified protocol"),
    ("smoke", "h", "Invalid parameter: Amazon SNS does not support this protocol string: smoke"),
])
def test_other_subscribers_are_refused_by_name(sns, protocol, endpoint, text):
    topic = sns.create_topic(Name=unique("t"))["TopicArn"]
    assert refusal(sns.subscribe, TopicArn=topic, Protocol=protocol, Endpoint=endpoint)[1] == text


@pytest.fixture
def endpoint():
    """An HTTP server that fails as often as it is told: its URL, what it gets, and that."""
    got, failures = queue.Queue(), []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            got.put((dict(self.headers.items()), body))
            self.send_response(failures.pop() if failures else 200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    at = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=at.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{at.server_port}/hook", got, failures
    at.shutdown()


def test_an_http_endpoint_confirms_and_is_tried_again_where_it_fails(sns, endpoint):
    url, got, failures = endpoint
    topic = sns.create_topic(Name=unique("t"))["TopicArn"]
    policy = json.dumps({"healthyRetryPolicy": {"numRetries": 3, "minDelayTarget": 1, "maxDelayTarget": 1}})
    assert sns.subscribe(TopicArn=topic, Protocol="http", Endpoint=url, Attributes={"DeliveryPolicy": policy})["SubscriptionArn"] == "pending confirmation"
    headers, body = got.get(timeout=60)
    asked = json.loads(body)
    assert (headers["x-amz-sns-message-type"], asked["Type"], asked["TopicArn"]) == ("SubscriptionConfirmation", "SubscriptionConfirmation", topic)
    sns.publish(TopicArn=topic, Message="nobody hears")
    assert refusal(sns.confirm_subscription, TopicArn=topic, Token="wrong") == ("InvalidParameter", "Invalid parameter: Token")
    with urllib.request.urlopen(asked["SubscribeURL"]) as answer:
        assert b"ConfirmSubscriptionResult" in answer.read()
    failures.append(500)
    sns.publish(TopicArn=topic, Message="heard")
    first, second = got.get(timeout=60), got.get(timeout=60)
    assert first == second, "what failed is sent again as it was"
    headers, body = second
    (listed,) = sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
    assert (headers["x-amz-sns-message-type"], headers["x-amz-sns-subscription-arn"]) == ("Notification", listed["SubscriptionArn"])
    assert json.loads(body)["Message"] == "heard"


def test_policies_of_topics_let_others_publish_and_subscribe(sns):
    topic = sns.create_topic(Name=unique("t"))["TopicArn"]
    sns.add_permission(TopicArn=topic, Label="l", AWSAccountId=["111111111111"], ActionName=["Publish"])
    statements = json.loads(sns.get_topic_attributes(TopicArn=topic)["Attributes"]["Policy"])["Statement"]
    assert [one["Sid"] for one in statements] == ["__default_statement_ID", "l"]
    sns.remove_permission(TopicArn=topic, Label="l")
    assert len(json.loads(sns.get_topic_attributes(TopicArn=topic)["Attributes"]["Policy"])["Statement"]) == 1


def test_what_was_published_is_delivered_after_a_kill(alone):
    server = alone()
    sns, sqs = clients(server)
    topic = sns.create_topic(Name=unique("t"))["TopicArn"]
    queues = [queue_for(sqs, topic) for _ in range(3)]
    for _, arn in queues:
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes={"RawMessageDelivery": "true"})
    acknowledged = []

    def publish():
        for number in range(10_000):
            try:
                sns.publish(TopicArn=topic, Message=str(number))
            except Exception:  # noqa: BLE001 - the server is gone
                return
            acknowledged.append(str(number))

    publisher = threading.Thread(target=publish)
    publisher.start()
    wait_until(lambda: len(acknowledged) > 50, 60, "nothing is acknowledged")
    server.kill()
    publisher.join()
    server.start()
    sns, sqs = clients(server)
    for url, _ in queues:
        bodies = [message["Body"] for message in taken(sqs, url.replace(url.split("/")[2], server.url.split("/")[2]), len(acknowledged))]
        assert set(acknowledged) <= set(bodies)


def test_the_command_line_publishes(quick, aws, sqs, sns):
    topic = sns.create_topic(Name=unique("t"))["TopicArn"]
    url, arn = queue_for(sqs, topic)
    assert aws("sns", "subscribe", "--endpoint-url", quick.url, "--topic-arn", topic, "--protocol", "sqs", "--notification-endpoint", arn)["SubscriptionArn"].startswith(topic)
    sent = aws("sns", "publish", "--endpoint-url", quick.url, "--topic-arn", topic, "--message", "from the shell")
    assert json.loads(taken(sqs, url)[0]["Body"])["MessageId"] == sent["MessageId"]


def test_records_and_dead_letters_go_to_topics(sns, sqs, deploy):
    topic = sns.create_topic(Name=unique("t"))["TopicArn"]
    url, arn = queue_for(sqs, topic)
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    function = deploy(SAY)
    sides = {"OnSuccess": {"Destination": topic}, "OnFailure": {"Destination": topic}}
    function.client.put_function_event_invoke_config(FunctionName=function.name, DestinationConfig=sides, MaximumRetryAttempts=0)
    function.client.invoke(FunctionName=function.name, InvocationType="Event", Payload=b'{"a": 1}')
    record = json.loads(json.loads(taken(sqs, url)[0]["Body"])["Message"])
    assert record["requestContext"]["condition"] == "Success" and record["responsePayload"] == {"echo": {"a": 1}}
    dead = deploy(SAY, DeadLetterConfig={"TargetArn": topic})
    dead.client.put_function_event_invoke_config(FunctionName=dead.name, MaximumRetryAttempts=0)
    dead.client.invoke(FunctionName=dead.name, InvocationType="Event", Payload=b'{"fail": "no"}')
    letter = json.loads(taken(sqs, url)[0]["Body"])
    assert json.loads(letter["Message"]) == {"fail": "no"}
    assert {name: value["Value"] for name, value in letter["MessageAttributes"].items() if name != "RequestID"} == {"ErrorCode": "200", "ErrorMessage": "no"}


def test_a_fifo_topic_numbers_keeps_order_and_takes_once(sns, sqs):
    topic = sns.create_topic(Name=unique("t") + ".fifo", Attributes={"FifoTopic": "true", "ContentBasedDeduplication": "true"})["TopicArn"]
    url = sqs.create_queue(QueueName=unique("q") + ".fifo", Attributes={"FifoQueue": "true"})["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    statement = {"Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"}, "Action": "sqs:SendMessage", "Resource": arn}
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps({"Version": "2012-10-17", "Statement": [statement]})})
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    assert refusal(sns.publish, TopicArn=topic, Message="m") == ("InvalidParameter", "Invalid parameter: The MessageGroupId parameter is required for FIFO topics")
    sent = [sns.publish(TopicArn=topic, Message=str(n), MessageGroupId="g") for n in range(3)]
    again = sns.publish(TopicArn=topic, Message="1", MessageGroupId="g")
    assert (again["MessageId"], again["SequenceNumber"]) == (sent[1]["MessageId"], sent[1]["SequenceNumber"])
    numbers = [one["SequenceNumber"] for one in sent]
    assert numbers == sorted(numbers) and all(len(number) == 20 for number in numbers)
    bodies = [json.loads(message["Body"]) for message in taken(sqs, url, 3)]
    assert [(body["Message"], body["SequenceNumber"]) for body in bodies] == [(str(n), numbers[n]) for n in range(3)]
    assert "Messages" not in sqs.receive_message(QueueUrl=url)


def fifo(sns, sqs):
    """A topic with a queue; both keep order and take once."""
    topic = sns.create_topic(Name=unique("t") + ".fifo", Attributes={"FifoTopic": "true"})["TopicArn"]
    # A queue without order gets whatever the topic sends: it does not hide what is sent twice.
    url, arn = queue_for(sqs, topic)
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes={"RawMessageDelivery": "true"})
    return topic, url


def test_entries_of_one_batch_with_the_same_deduplication_id_are_one(sns, sqs):
    topic, url = fifo(sns, sqs)
    known = sns.publish(TopicArn=topic, Message="known", MessageGroupId="g", MessageDeduplicationId="0")
    entries = [{"Id": str(n), "Message": str(n), "MessageGroupId": "g", "MessageDeduplicationId": deduplication} for n, deduplication in enumerate("0112101")]
    answer = sns.publish_batch(TopicArn=topic, PublishBatchRequestEntries=entries)
    assert "Failed" not in answer or answer["Failed"] == []
    told = {entry["Id"]: (entry["MessageId"], entry["SequenceNumber"]) for entry in answer["Successful"]}
    assert told["0"] == told["5"] == (known["MessageId"], known["SequenceNumber"])
    assert told["1"] == told["2"] == told["4"] == told["6"] and len(set(told.values())) == 3
    assert sorted(message["Body"] for message in taken(sqs, url, 3)) == ["1", "3", "known"]
    assert "Messages" not in sqs.receive_message(QueueUrl=url)


def test_a_fifo_topic_remembers_over_a_crash_and_not_over_its_end(alone):
    server = alone()
    sns, sqs = clients(server)
    topic, url = fifo(sns, sqs)
    once = {"TopicArn": topic, "Message": "m", "MessageGroupId": "g", "MessageDeduplicationId": "d"}
    sent = sns.publish(**once)
    server.kill()
    server.start()
    sns, sqs = clients(server)
    assert sns.publish(**once)["MessageId"] == sent["MessageId"]
    url = url.replace(url.split("/")[2], server.url.split("/")[2])
    assert len(taken(sqs, url)) == 1 and "Messages" not in sqs.receive_message(QueueUrl=url)
    sns.delete_topic(TopicArn=topic)
    sns.create_topic(Name=topic.split(":")[-1], Attributes={"FifoTopic": "true"})
    assert sns.publish(**once)["MessageId"] != sent["MessageId"], "it is another topic"


def test_records_go_to_event_buses(quick, sqs, deploy):
    events = service_of(quick, "events")
    url, arn = queue_for(sqs)
    statement = {"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": "sqs:SendMessage", "Resource": arn}
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps({"Version": "2012-10-17", "Statement": [statement]})})
    function, rule = deploy(SAY), unique("r")
    name = f"arn:aws:lambda:us-east-1:000000000000:function:{function.name}:$LATEST"
    events.put_rule(Name=rule, EventPattern=json.dumps({"source": ["lambda"], "resources": [name]}))
    events.put_targets(Rule=rule, Targets=[{"Id": "1", "Arn": arn}])
    bus = "arn:aws:events:us-east-1:000000000000:event-bus/default"
    sides = {"OnSuccess": {"Destination": bus}, "OnFailure": {"Destination": bus}}
    function.client.put_function_event_invoke_config(FunctionName=function.name, DestinationConfig=sides, MaximumRetryAttempts=0)
    for payload, result in ((b'{"a": 1}', "Success"), (b'{"fail": "no"}', "Failure")):
        function.client.invoke(FunctionName=function.name, InvocationType="Event", Payload=payload)
        event = json.loads(taken(sqs, url)[0]["Body"])
        assert (event["source"], event["detail-type"]) == ("lambda", f"Lambda Function Invocation Result - {result}")
        assert event["resources"] == [bus, name]
        assert event["detail"]["requestPayload"] == json.loads(payload)
    events.remove_targets(Rule=rule, Ids=["1"])
    events.delete_rule(Name=rule)

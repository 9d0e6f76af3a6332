"""Queues as event sources."""


def test_esm_with_not_existing_sqs_queue(s):
    queue = f"arn:aws:sqs:{s.region}:{s.account}:not-existing-queue"
    name = s.function()["FunctionName"]
    s.step("error", "create_event_source_mapping", FunctionName=name, EventSourceArn=queue)


def test_fifo_message_group_parallelism(s):
    sqs, queue = s.client("sqs"), f"{s.name()}.fifo"
    url = s.call("create_queue", sqs, QueueName=queue, Attributes={"FifoQueue": "true"})["QueueUrl"]
    s.later("delete_queue", sqs, QueueUrl=url)
    name = s.function()["FunctionName"]
    made = s.step(
        "create_esm_disabled",
        "create_event_source_mapping",
        FunctionName=name,
        EventSourceArn=f"arn:aws:sqs:{s.region}:{s.account}:{queue}",
        BatchSize=1,
        Enabled=False,
    )
    s.step("update_esm_enabling", "update_event_source_mapping", UUID=made["UUID"], Enabled=True)
    s.until(lambda: s.call("get_event_source_mapping", UUID=made["UUID"])["State"] == "Enabled")
    s.step("get_esm_enabled", "get_event_source_mapping", UUID=made["UUID"])

"""Queues as event sources."""


def test_esm_with_not_existing_sqs_queue(s):
    queue = f"arn:aws:sqs:{s.region}:{s.account}:not-existing-queue"
    name = s.function()["FunctionName"]
    s.step("error", "create_event_source_mapping", FunctionName=name, EventSourceArn=queue)

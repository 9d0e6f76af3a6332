"""Dead-letter queues."""

from harness.scenario import tail

TEXT = 'raise Exception("Test exception (this is intentional)")'


def test_dead_letter_queue(s):
    name, sqs, dlq = s.name(), s.client("sqs"), s.queue()
    s.function(padded(), FunctionName=name, DeadLetterConfig={"TargetArn": dlq}, step="create_lambda_with_dlq")
    s.call("put_function_event_invoke_config", FunctionName=name, MaximumRetryAttempts=0)
    s.invoke(name, {"raise_error": 1}, InvocationType="Event")
    url = s.call("get_queue_url", sqs, QueueName=dlq.rsplit(":", 1)[1])["QueueUrl"]
    receive = {"QueueUrl": url, "MessageAttributeNames": ["All"]}
    found = []

    def came():
        found[:] = [s.call("receive_message", sqs, **receive)]
        return "Messages" in found[0]

    s.until(came)
    s.take("receive_result", found[0])
    s.step("delete_dlq", "update_function_configuration", FunctionName=name, DeadLetterConfig={})
    s.updated(name)
    answer = s.invoke(name, {"raise_error": 1}, step="invoke_result", LogType="Tail")
    s.take("log_result", {"result": tail(answer)})


def padded():
    """The function, its error on the line that was recorded: 55."""
    head = "import logging\n\nlogger = logging.getLogger()\nlogger.setLevel(logging.INFO)\n"
    body = [
        "def handler(event, context):",
        '    print("Lambda log message - print function")',
        '    logger.info("Lambda log message - logging module")',
        f"    {TEXT}",
    ]
    blank = 55 - len(head.splitlines()) - len(body)
    return head + "\n" * blank + "\n".join(body) + "\n"

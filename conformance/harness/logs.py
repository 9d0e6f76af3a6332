"""What functions wrote, read through CloudWatch Logs."""


def events(s, function, until):
    """All events of a function's log once `until(events)` is true."""
    logs, found = s.client("logs"), []

    def enough():
        answer = s.attempt("filter_log_events", logs, logGroupName=f"/aws/lambda/{function}")
        missing = answer.get("Error", {}).get("Code")
        assert missing in (None, "ResourceNotFoundException"), answer
        found[:] = answer.get("events", [])
        return until(found)

    s.until(enough)
    return found


def count(word):
    """True once as many messages begin with the word."""
    return lambda events, times=1: sum(event["message"].startswith(word) for event in events) >= times

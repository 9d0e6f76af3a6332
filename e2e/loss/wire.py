"""Requests that cost their sender little, and say whether they were answered."""

import http.client
import json
import urllib.parse


def signed(service):
    """Whose request it is, for a server that checks no signatures."""
    return f"AWS4-HMAC-SHA256 Credential=test/20240101/us-east-1/{service}/aws4_request, SignedHeaders=host, Signature=0"


S3 = {"Authorization": signed("s3"), "X-Amz-Content-Sha256": "UNSIGNED-PAYLOAD"}
SNS = {"Authorization": signed("sns"), "Content-Type": "application/x-www-form-urlencoded"}


def target(service, operation):
    return {"X-Amz-Target": f"{service}.{operation}", "Content-Type": "application/x-amz-json-1.0"}


class NoAnswer(Exception):
    """The server may have done it, or not."""


class Wrong(Exception):
    """What must never be; `status` where it is an answer."""

    def __init__(self, text, status=0):
        super().__init__(text)
        self.status = status


class Wire:
    """One connection. Who holds it gets an answer, or learns that there is none."""

    def __init__(self, port):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)

    def ask(self, method, path, body=None, headers=()):
        """Status, headers, and the body's JSON."""
        try:
            self.connection.request(method, path, body, dict(headers))
            answer = self.connection.getresponse()
            text = answer.read()
        except (OSError, http.client.HTTPException) as error:
            self.connection.close()
            raise NoAnswer(repr(error)) from error
        return answer.status, answer.headers, json.loads(text) if text[:1] in b"{[" and text else text

    def well(self, method, path, body=None, headers=()):
        status, headers, answer = self.ask(method, path, body, headers)
        if status >= 300:
            raise Wrong(f"{method} {path}: {status} {answer}", status)
        return headers, answer

    def event(self, function, payload):
        """Sends an event; its request id."""
        path = f"/2015-03-31/functions/{function}/invocations"
        headers, _ = self.well("POST", path, json.dumps(payload), {"X-Amz-Invocation-Type": "Event"})
        return headers["x-amzn-RequestId"]

    def invoke(self, function, payload):
        """What the function returned."""
        headers, answer = self.well("POST", f"/2015-03-31/functions/{function}/invocations", json.dumps(payload))
        if "X-Amz-Function-Error" in headers:
            raise Wrong(f"{function}: {answer}")
        return answer

    def invoke_if_there_is_room(self, function, payload):
        try:
            self.invoke(function, payload)
        except Wrong as error:
            if error.status != 429:
                raise

    def sqs(self, operation, **members):
        return self.well("POST", "/", json.dumps(members), target("AmazonSQS", operation))[1]

    def ask_sqs(self, operation, **members):
        return self.ask("POST", "/", json.dumps(members), target("AmazonSQS", operation))

    def events(self, operation, **members):
        return self.well("POST", "/", json.dumps(members), target("AWSEvents", operation))[1]

    def ask_sns(self, operation, **members):
        form = urllib.parse.urlencode({"Action": operation, "Version": "2010-03-31", **members})
        return self.ask("POST", "/", form, SNS)

    def sns(self, operation, **members):
        status, _, answer = self.ask_sns(operation, **members)
        if status >= 300:
            raise Wrong(f"{operation}: {status} {answer}", status)
        return answer

    def scheduler(self, method, path, **members):
        return self.well(method, path, json.dumps(members) if members else None, {"Authorization": signed("scheduler")})[1]

    def s3(self, method, path, body=None):
        """The answer's body; None where there is no such object."""
        status, _, answer = self.ask(method, path, body, S3)
        if status >= 300 and status != 404:
            raise Wrong(f"{method} {path}: {status} {answer}", status)
        return None if status == 404 else answer

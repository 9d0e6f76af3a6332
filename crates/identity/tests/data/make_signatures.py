"""Writes signatures.json: requests as botocore signs them. Run it again to see that nothing changes.

    python3 crates/identity/tests/data/make_signatures.py
"""

import base64
import datetime
import json
import pathlib
from unittest import mock

from botocore import auth, awsrequest, credentials

NOW = datetime.datetime(2024, 3, 5, 12, 0, 0)
KEY = ("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
HOST = "http://127.0.0.1:4566"
ARN = "arn%3Aaws%3Alambda%3Aus-east-1%3A000000000000%3Afunction%3Af"

HEADER, LINK, S3_HEADER, S3_LINK = auth.SigV4Auth, auth.SigV4QueryAuth, auth.S3SigV4Auth, auth.S3SigV4QueryAuth

REQUESTS = [
    # name, signer, service, method, path and query, headers, body
    ("list", HEADER, "lambda", "GET", "/2015-03-31/functions/", {}, b""),
    ("paged", HEADER, "lambda", "GET", "/2015-03-31/functions/?MaxItems=5&Marker=a%2Bb%3D%3D", {}, b""),
    ("flag in query", HEADER, "lambda", "GET", "/x?b&a=&c=1&a=0", {}, b""),
    ("arn in path", HEADER, "lambda", "GET", f"/2015-03-31/functions/{ARN}", {}, b""),
    ("version in path", HEADER, "lambda", "GET", "/2015-03-31/functions/f%3A%24LATEST?Qualifier=%24LATEST", {}, b""),
    ("unicode in path", HEADER, "lambda", "GET", "/functions/%C3%A4%20b~c", {}, b""),
    ("untidy path", HEADER, "lambda", "GET", "//a//./b/../c/", {}, b""),
    ("empty path", HEADER, "lambda", "GET", "", {}, b""),
    ("invoke", HEADER, "lambda", "POST", "/2015-03-31/functions/f/invocations", {"X-Amz-Log-Type": "Tail"}, b'{"a":1}'),
    ("binary", HEADER, "lambda", "POST", "/2015-03-31/functions/f/invocations", {}, bytes(range(256))),
    ("blanks in headers", HEADER, "lambda", "GET", "/", {"X-Blanks": "  a   b  ", "My-Header": '"a   b"'}, b""),
    ("date header", HEADER, "lambda", "GET", "/", {"Date": "x"}, b""),
    ("form", HEADER, "iam", "POST", "/", {"Content-Type": "application/x-www-form-urlencoded"}, b"Action=ListRoles"),
    ("target", HEADER, "logs", "POST", "/", {"X-Amz-Target": "Logs_20140328.DescribeLogGroups"}, b"{}"),
    ("link", LINK, "lambda", "GET", "/2015-03-31/functions/f?Qualifier=%24LATEST", {}, b""),
    ("link to who I am", LINK, "sts", "GET", "/?Action=GetCallerIdentity&Version=2011-06-15", {}, b""),
    ("link with a header", LINK, "sts", "GET", "/?Action=GetCallerIdentity", {"X-K8s-Aws-Id": "cluster"}, b""),
    ("get object", S3_HEADER, "s3", "GET", "/bucket/key", {}, b""),
    ("object with blanks", S3_HEADER, "s3", "GET", "/bucket/a%20b/%C3%A4%21%27%28%29%2A/x%2By", {}, b""),
    ("untidy key", S3_HEADER, "s3", "GET", "/bucket//a/../b/./", {}, b""),
    ("put object", S3_HEADER, "s3", "PUT", "/bucket/key", {"Content-Type": "text/plain"}, b"hello"),
    ("list objects", S3_HEADER, "s3", "GET", "/bucket?list-type=2&prefix=a%2Fb%20c&delimiter=%2F", {}, b""),
    ("subresource", S3_HEADER, "s3", "PUT", "/bucket?versioning", {}, b"<x/>"),
    ("link to an object", S3_LINK, "s3", "GET", "/bucket/a%20b?versionId=1", {}, b""),
    ("link to put", S3_LINK, "s3", "PUT", "/bucket/k", {"Content-Type": "text/plain"}, b"any"),
]


def signed(name, signer, service, method, target, headers, body, token):
    # Links sign no body but an empty one.
    data = None if signer in (LINK, S3_LINK) else body
    request = awsrequest.AWSRequest(method=method, url=HOST + target, headers=headers, data=data)
    request.context["payload_signing_enabled"] = True
    with mock.patch("botocore.auth.get_current_datetime", lambda: NOW):
        signer(credentials.Credentials(*KEY, token), service, "us-east-1").add_auth(request)
    request.headers["Host"] = "127.0.0.1:4566"
    return {
        "name": name + (" with a token" if token else ""),
        "service": service,
        "method": method,
        "uri": request.url.removeprefix(HOST),
        "headers": [[name, value] for name, value in request.headers.items()],
        "body": base64.b64encode(body).decode(),
        "token": token,
    }


def main():
    cases = [signed(*request, token) for request in REQUESTS for token in (None, "token/with+signs==")]
    content = {"access_key_id": KEY[0], "secret": KEY[1], "now": 1709640000, "requests": cases}
    pathlib.Path(__file__).with_name("signatures.json").write_text(json.dumps(content, indent=1) + "\n")


main()

"""Function URLs: made with their permission, and called by hand, so that names need not be looked up."""

import http.client
import json
import urllib.parse
from contextlib import closing

from botocore.auth import SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

FORBIDDEN = {"Message": "Forbidden. For troubleshooting Function URL authorization issues, see: https://docs.aws.amazon.com/lambda/latest/dg/urls-auth.html"}


class Answer:
    """Status, headers as a list of pairs with names in lower case, body."""

    def __init__(self, response):
        self.status, self.body = response.status, response.read()
        self.pairs = [(name.lower(), value) for name, value in response.getheaders()]
        self.headers = dict(self.pairs)

    @property
    def json(self):
        return json.loads(self.body)

    def all(self, name):
        return [value for known, value in self.pairs if known == name]

    def __repr__(self):
        return f"{self.status} {self.pairs} {self.body[:500]!r}"


def public(client, name, qualifier=None, auth="NONE", **config):
    """The URL of a function or an alias, which everybody may call."""
    named = {"FunctionName": name, **({"Qualifier": qualifier} if qualifier else {})}
    url = client.create_function_url_config(AuthType=auth, **named, **config)["FunctionUrl"]
    client.add_permission(StatementId="url", Action="lambda:InvokeFunctionUrl", Principal="*", FunctionUrlAuthType=auth, **named)
    return url


def call(url, path="/", method="GET", body=None, headers=(), address="127.0.0.1"):
    """One request, sent to this address under the URL's name."""
    at = urllib.parse.urlsplit(url)
    with closing(http.client.HTTPConnection(address, at.port, timeout=60)) as connection:
        headers = [("Host", at.netloc), *(headers.items() if isinstance(headers, dict) else headers)]
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        for name, value in headers:
            connection.putheader(name, value)
        if body is not None:
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        return Answer(connection.getresponse())


def signed(url, key, path="/", method="GET", body=b"", service="lambda", headers=(), link=None):
    """The same with a signature as boto3 makes it: in headers, or in a link that is good for so many seconds."""
    at = urllib.parse.urlsplit(url)
    credentials = Credentials(key["AccessKeyId"], key["SecretAccessKey"], key.get("SessionToken"))
    request = AWSRequest(method, f"http://{at.netloc}{path}", headers=dict(headers), data=body)
    signer = SigV4QueryAuth(credentials, service, "us-east-1", expires=link) if link else SigV4Auth(credentials, service, "us-east-1")
    signer.add_auth(request)
    parts = urllib.parse.urlsplit(request.url)
    path = f"{parts.path}?{parts.query}" if parts.query else parts.path
    return call(url, path, method, body, [(name, value) for name, value in request.headers.items()])

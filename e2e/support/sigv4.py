"""Signature Version 4 by hand, written from its specification: for what no client library would send."""

import datetime
import hashlib
import hmac
import urllib.parse

EMPTY = hashlib.sha256(b"").hexdigest()


def _hmac(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def signing_key(secret, date, region, service):
    key = _hmac(b"AWS4" + secret.encode(), date)
    for part in (region, service, "aws4_request"):
        key = _hmac(key, part)
    return key


def _canonical_query(query):
    pairs = urllib.parse.parse_qsl(query, keep_blank_values=True)
    encoded = sorted((urllib.parse.quote(k, safe="-_.~"), urllib.parse.quote(v, safe="-_.~")) for k, v in pairs)
    return "&".join(f"{k}={v}" for k, v in encoded)


class Signed:
    """A request signed with a key as `hearth keys` shows it. Members may be changed before or after signing."""

    def __init__(self, server, key, method, path, body=b"", service="lambda", region="us-east-1", headers=(), token=None, shift=0):
        self.server, self.key, self.method, self.path, self.body = server, key, method, path, body
        self.service, self.region = service, region
        now = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=shift)
        self.time, self.date = now.strftime("%Y%m%dT%H%M%SZ"), now.strftime("%Y%m%d")
        self.headers = {"host": f"127.0.0.1:{server.port}", "x-amz-date": self.time, **dict(headers)}
        if token:
            self.headers["x-amz-security-token"] = token
        if service == "s3":
            self.headers.setdefault("x-amz-content-sha256", hashlib.sha256(body).hexdigest())
        self.unsigned = set()

    @property
    def scope(self):
        return f"{self.date}/{self.region}/{self.service}/aws4_request"

    def signing_key(self):
        return signing_key(self.key["SecretAccessKey"], self.date, self.region, self.service)

    def sign(self):
        names = sorted(name for name in self.headers if name not in self.unsigned)
        path, _, query = self.path.partition("?")
        path = path if self.service == "s3" else urllib.parse.quote(path, safe="/-_.~")
        digest = self.headers.get("x-amz-content-sha256") if self.service == "s3" else hashlib.sha256(self.body).hexdigest()
        lines = [self.method, path, _canonical_query(query), *(f"{name}:{self.headers[name]}" for name in names), "", ";".join(names), digest]
        hashed = hashlib.sha256("\n".join(lines).encode()).hexdigest()
        text = "\n".join(["AWS4-HMAC-SHA256", self.time, self.scope, hashed])
        self.signature = _hmac(self.signing_key(), text).hex()
        credential = f"{self.key['AccessKeyId']}/{self.scope}"
        self.headers["authorization"] = f"AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders={';'.join(names)}, Signature={self.signature}"
        return self

    def chunk(self, data, previous):
        """A chunk of a streamed body and its signature, which follows from that of the one before it."""
        text = "\n".join(["AWS4-HMAC-SHA256-PAYLOAD", self.time, self.scope, previous, EMPTY, hashlib.sha256(data).hexdigest()])
        signature = _hmac(self.signing_key(), text).hex()
        return b"%x;chunk-signature=%s\r\n%s\r\n" % (len(data), signature.encode(), data), signature

"""The form in which answers are compared: plain JSON values, as the recordings hold them."""

import base64
import datetime
import json

from botocore.exceptions import ClientError
from botocore.response import StreamingBody


def plain(value):
    """A value of boto3 as JSON knows it. Times stay times: the recordings name them, they do not show them."""
    if isinstance(value, ClientError):
        return plain(value.response)
    if isinstance(value, dict):
        return {str(key): _metadata(item) if key == "ResponseMetadata" else plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, StreamingBody):
        return value.read().decode()
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    assert value is None or isinstance(value, (str, bool, int, float, datetime.datetime)), type(value)
    return value


def parsed(text):
    """The value that a JSON text stands for; the text itself if it is none."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _metadata(metadata):
    """The part of the transport that is compared."""
    return {"HTTPStatusCode": metadata.get("HTTPStatusCode")}


def status(answer):
    """The HTTP status of an answer; None for what is no answer of its own."""
    return answer.get("ResponseMetadata", {}).get("HTTPStatusCode") if isinstance(answer, dict) else None


def error_code(answer):
    """The code of an error; None for an answer that is none."""
    error = answer.get("Error") if isinstance(answer, dict) else None
    return error.get("Code") if isinstance(error, dict) else None

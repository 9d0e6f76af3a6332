"""What a client is told when a call is refused."""

import pytest
from botocore.exceptions import ClientError


def refused(call, *args, **members):
    """Status, code and message of a call that must be refused."""
    with pytest.raises(ClientError) as caught:
        call(*args, **members)
    error = caught.value.response
    return error["ResponseMetadata"]["HTTPStatusCode"], error["Error"]["Code"], error["Error"]["Message"]


def refusal(call, **members):
    """Code and message of a call that must be refused."""
    return refused(call, **members)[1:]


def refusal_code(call, **members):
    """Code of a call that must be refused."""
    return refused(call, **members)[1]

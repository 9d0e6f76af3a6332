"""boto3's clients, without retries: they would hide errors."""

import boto3
from botocore.config import Config


def service_at(url, service, key="test", secret="test", token=None, **config):
    """A client of what listens at an address."""
    # Buckets by path: they have no names of their own in DNS here.
    usual = {"retries": {"total_max_attempts": 1}, "read_timeout": 120, "max_pool_connections": 100, "s3": {"addressing_style": "path"}}
    client = boto3.client(
        service,
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        aws_session_token=token,
        config=Config(**{**usual, **config}),
    )
    # Made at their first use, without a lock: threads that are first together make several, and catch others than are raised.
    client.exceptions
    return client


def service_of(server, service, *key, **config):
    """A client of one of a server's services."""
    return service_at(server.url, service, *key, **config)

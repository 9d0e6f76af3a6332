"""What scenarios need of other services: buckets, queues, tables, streams."""

from botocore.exceptions import ClientError


class Neighbours:
    """Makes them through their own services; they go with the scenario. Where the server does not have the service, a
    name is made up, for scenarios whose answers only show it."""

    def made(self, service, operation, **args):
        """The answer; None if the server does not have the service."""
        client = self.client(service)
        try:
            return self.call(operation, client, **args)
        except ClientError as error:
            if f"does not have the service {service}" in str(error):
                return None
            raise

    def bucket(self, objects):
        """A bucket with objects {key: bytes}; its name."""
        s3, name = self.client("s3"), self.name("bucket")
        self.call("create_bucket", s3, Bucket=name)
        self.later("delete_bucket", s3, Bucket=name)
        for key, body in objects.items():
            self.call("put_object", s3, Bucket=name, Key=key, Body=body)
            self.later("delete_object", s3, Bucket=name, Key=key)
        return name

    def queue(self):
        """A queue; its ARN."""
        sqs, name = self.client("sqs"), self.name("queue")
        queue = self.made("sqs", "create_queue", QueueName=name)
        if queue is None:
            return f"arn:aws:sqs:{self.region}:{self.account}:{name}"
        url = queue["QueueUrl"]
        self.later("delete_queue", sqs, QueueUrl=url)
        return self.call("get_queue_attributes", sqs, QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]

    def table(self, step=None):
        """A table with a stream, described; `step` records the answer that made the stream."""
        dynamodb, name = self.client("dynamodb"), self.name("table")
        key = {
            "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
            "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
        }
        table = self.made("dynamodb", "create_table", TableName=name, BillingMode="PAY_PER_REQUEST", **key)
        if table is None:
            stream = f"arn:aws:dynamodb:{self.region}:{self.account}:table/{name}/stream/2025-11-25T02:38:40.000"
            return {"TableName": name, "LatestStreamArn": stream}
        self.later("delete_table", dynamodb, TableName=name)
        stream = {"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"}
        answer = self.call("update_table", dynamodb, TableName=name, StreamSpecification=stream)
        if step:
            self.take(step, answer)
        return answer["TableDescription"]

    def stream(self):
        """A stream of Kinesis; its ARN."""
        kinesis, name = self.client("kinesis"), self.name("stream")
        if self.made("kinesis", "create_stream", StreamName=name, ShardCount=1) is None:
            return f"arn:aws:kinesis:{self.region}:{self.account}:stream/{name}"
        self.later("delete_stream", kinesis, StreamName=name)
        return self.call("describe_stream", kinesis, StreamName=name)["StreamDescription"]["StreamARN"]

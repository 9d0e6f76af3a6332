"""What scenarios need of other services: buckets, queues, tables, streams."""


class Neighbours:
    """Makes them through their own services; they go with the scenario."""

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
        sqs = self.client("sqs")
        url = self.call("create_queue", sqs, QueueName=self.name("queue"))["QueueUrl"]
        self.later("delete_queue", sqs, QueueUrl=url)
        return self.call("get_queue_attributes", sqs, QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]

    def table(self, step=None):
        """A table with a stream, described; `step` records the answer that made the stream."""
        dynamodb, name = self.client("dynamodb"), self.name("table")
        key = {
            "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
            "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
        }
        self.call("create_table", dynamodb, TableName=name, BillingMode="PAY_PER_REQUEST", **key)
        self.later("delete_table", dynamodb, TableName=name)
        stream = {"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"}
        answer = self.call("update_table", dynamodb, TableName=name, StreamSpecification=stream)
        if step:
            self.take(step, answer)
        return answer["TableDescription"]

    def stream(self):
        """A stream of Kinesis; its ARN."""
        kinesis, name = self.client("kinesis"), self.name("stream")
        self.call("create_stream", kinesis, StreamName=name, ShardCount=1)
        self.later("delete_stream", kinesis, StreamName=name)
        return self.call("describe_stream", kinesis, StreamName=name)["StreamDescription"]["StreamARN"]

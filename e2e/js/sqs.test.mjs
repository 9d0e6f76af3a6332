// SQS through the JavaScript SDK v3, unmodified, against a running server named by AWS_ENDPOINT_URL. The client compares
// the checksums of bodies itself.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { join } from "node:path";
import { after, before, test } from "node:test";

const require = createRequire(join(process.env.HEARTH_NODE_MODULES, "x.js"));
const sqs = require("@aws-sdk/client-sqs");

const queues = new sqs.SQSClient({ maxAttempts: 1 });
const call = (command, input) => queues.send(new sqs[`${command}Command`](input));
let QueueUrl;

before(async () => {
  const Attributes = { FifoQueue: "true", ContentBasedDeduplication: "true" };
  ({ QueueUrl } = await call("CreateQueue", { QueueName: `js-${process.pid}.fifo`, Attributes, tags: { made: "by a test" } }));
});

after(() => call("DeleteQueue", { QueueUrl }));

test("sends, receives and deletes messages of a group", async () => {
  const MessageAttributes = { kind: { DataType: "String", StringValue: "ä" } };
  const sent = await call("SendMessage", { QueueUrl, MessageBody: "one", MessageGroupId: "g", MessageAttributes });
  assert.match(sent.SequenceNumber, /^\d{20}$/);
  const entry = (Id, MessageBody) => ({ Id, MessageBody, MessageGroupId: "g" });
  const batch = await call("SendMessageBatch", { QueueUrl, Entries: [entry("a", "one"), entry("b", "two")] });
  assert.deepEqual(batch.Successful.map(({ Id, MessageId }) => [Id, MessageId === sent.MessageId]), [["a", true], ["b", false]]);
  const { Messages } = await call("ReceiveMessage", {
    QueueUrl, MaxNumberOfMessages: 10, WaitTimeSeconds: 5, MessageSystemAttributeNames: ["All"], MessageAttributeNames: ["All"],
  });
  assert.deepEqual(Messages.map(({ Body }) => Body), ["one", "two"]);
  assert.equal(Messages[0].MessageAttributes.kind.StringValue, "ä");
  assert.equal(Messages[0].Attributes.MessageGroupId, "g");
  const Entries = Messages.map(({ ReceiptHandle }, index) => ({ Id: `${index}`, ReceiptHandle }));
  assert.equal((await call("DeleteMessageBatch", { QueueUrl, Entries })).Successful.length, 2);
});

test("says what is wrong by the SDK's own errors", async () => {
  await assert.rejects(call("GetQueueUrl", { QueueName: "none" }), sqs.QueueDoesNotExist);
  await assert.rejects(call("PurgeQueue", { QueueUrl }).then(() => call("PurgeQueue", { QueueUrl })), sqs.PurgeQueueInProgress);
  await assert.rejects(call("SendMessage", { QueueUrl, MessageBody: "x" }), { name: /MissingParameter/ });
});

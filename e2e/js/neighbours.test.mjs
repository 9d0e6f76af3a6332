// S3 and CloudWatch Logs through the JavaScript SDK v3, unmodified, against a running server named by AWS_ENDPOINT_URL.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { join } from "node:path";
import { Readable } from "node:stream";
import { after, before, test } from "node:test";

const require = createRequire(join(process.env.HEARTH_NODE_MODULES, "x.js"));
const s3 = require("@aws-sdk/client-s3");
const logs = require("@aws-sdk/client-cloudwatch-logs");
const { getSignedUrl } = require("@aws-sdk/s3-request-presigner");

const objects = new s3.S3Client({ maxAttempts: 1, forcePathStyle: true });
const lines = new logs.CloudWatchLogsClient({ maxAttempts: 1, disableHostPrefix: true });
const object = (command, input) => objects.send(new s3[`${command}Command`](input));
const log = (command, input) => lines.send(new logs[`${command}Command`](input));
const Bucket = `js-${process.pid}`;
const logGroupName = `/js/${process.pid}`;
const logStreamName = "s";

before(async () => {
  await object("CreateBucket", { Bucket });
  await log("CreateLogGroup", { logGroupName, tags: { made: "by a test" } });
  await log("CreateLogStream", { logGroupName, logStreamName });
});

after(async () => {
  await log("DeleteLogGroup", { logGroupName });
  const { Versions } = await object("ListObjectVersions", { Bucket });
  const Objects = Versions.map(({ Key, VersionId }) => ({ Key, VersionId }));
  await object("DeleteObjects", { Bucket, Delete: { Objects } });
  await object("DeleteBucket", { Bucket });
});

test("puts and gets objects, also as streams", async () => {
  await object("PutObject", { Bucket, Key: "a/ä ?.txt", Body: "text", ContentType: "text/plain", Metadata: { by: "js" } });
  const got = await object("GetObject", { Bucket, Key: "a/ä ?.txt" });
  assert.equal(await got.Body.transformToString(), "text");
  assert.deepEqual([got.ContentType, got.Metadata], ["text/plain", { by: "js" }]);
  const pieces = Array.from({ length: 40 }, (_, index) => Buffer.alloc(10_000, index));
  const Body = Readable.from(pieces);
  await object("PutObject", { Bucket, Key: "stream", Body, ContentLength: 400_000 });
  const back = await (await object("GetObject", { Bucket, Key: "stream" })).Body.transformToByteArray();
  assert.ok(Buffer.concat(pieces).equals(back));
});

test("pages through objects", async () => {
  for (let index = 0; index < 5; index++) await object("PutObject", { Bucket, Key: `page/${index}`, Body: "" });
  const keys = [];
  for await (const page of s3.paginateListObjectsV2({ client: objects, pageSize: 2 }, { Bucket, Prefix: "page/" })) {
    keys.push(...page.Contents.map((entry) => entry.Key));
  }
  assert.deepEqual(keys, [0, 1, 2, 3, 4].map((index) => `page/${index}`));
});

test("uploads in parts", async () => {
  const Key = "parts";
  const { UploadId } = await object("CreateMultipartUpload", { Bucket, Key });
  const bodies = [Buffer.alloc(5 * 1024 * 1024, "a"), Buffer.from("end")];
  const Parts = [];
  for (const [index, Body] of bodies.entries()) {
    const { ETag } = await object("UploadPart", { Bucket, Key, UploadId, PartNumber: index + 1, Body });
    Parts.push({ ETag, PartNumber: index + 1 });
  }
  await object("CompleteMultipartUpload", { Bucket, Key, UploadId, MultipartUpload: { Parts } });
  const head = await object("HeadObject", { Bucket, Key });
  assert.equal(head.ContentLength, 5 * 1024 * 1024 + 3);
  assert.match(head.ETag, /-2"$/);
});

test("makes links", async () => {
  const put = await getSignedUrl(objects, new s3.PutObjectCommand({ Bucket, Key: "link" }), { expiresIn: 60 });
  assert.equal((await fetch(put, { method: "PUT", body: "by link" })).status, 200);
  const get = await getSignedUrl(objects, new s3.GetObjectCommand({ Bucket, Key: "link" }), { expiresIn: 60 });
  assert.equal(await (await fetch(get)).text(), "by link");
});

test("keeps versions", async () => {
  await object("PutBucketVersioning", { Bucket, VersioningConfiguration: { Status: "Enabled" } });
  const { VersionId } = await object("PutObject", { Bucket, Key: "v", Body: "one" });
  await object("PutObject", { Bucket, Key: "v", Body: "two" });
  const old = await object("GetObject", { Bucket, Key: "v", VersionId });
  assert.equal(await old.Body.transformToString(), "one");
});

test("throws S3's own errors", async () => {
  await assert.rejects(object("GetObject", { Bucket, Key: "nowhere" }), (error) => {
    assert.ok(error instanceof s3.NoSuchKey);
    return error.$metadata.httpStatusCode === 404;
  });
  await assert.rejects(object("HeadBucket", { Bucket: `${Bucket}-no` }), (error) => error instanceof s3.NotFound);
});

test("writes and filters logs, page by page", async () => {
  const timestamp = Date.now();
  const logEvents = Array.from({ length: 7 }, (_, index) => ({ timestamp: timestamp + index, message: `{"n":${index}}` }));
  await log("PutLogEvents", { logGroupName, logStreamName, logEvents });
  const seen = [];
  const wanted = { logGroupName, filterPattern: "{ $.n >= 2 }" };
  for await (const page of logs.paginateFilterLogEvents({ client: lines, pageSize: 2 }, wanted)) {
    seen.push(...page.events.map((event) => JSON.parse(event.message).n));
  }
  assert.deepEqual(seen, [2, 3, 4, 5, 6]);
  const last = await log("GetLogEvents", { logGroupName, logStreamName, limit: 2 });
  assert.deepEqual(last.events.map((event) => event.message), ['{"n":5}', '{"n":6}']);
  const before = await log("GetLogEvents", { logGroupName, logStreamName, limit: 2, nextToken: last.nextBackwardToken });
  assert.deepEqual(before.events.map((event) => event.message), ['{"n":3}', '{"n":4}']);
});

test("follows a log live", async () => {
  // Leaving the loop ends the reading, not the session, which lasts for hours: its client has to go.
  const follower = new logs.CloudWatchLogsClient({ maxAttempts: 1, disableHostPrefix: true });
  const start = new logs.StartLiveTailCommand({ logGroupIdentifiers: [logGroupName] });
  const { responseStream } = await follower.send(start);
  for await (const event of responseStream) {
    if (event.sessionStart) {
      await log("PutLogEvents", { logGroupName, logStreamName, logEvents: [{ timestamp: Date.now(), message: "live" }] });
    } else if (event.sessionUpdate?.sessionResults.length > 0) {
      assert.deepEqual(event.sessionUpdate.sessionResults.map((line) => line.message), ["live"]);
      break;
    }
  }
  follower.destroy();
});

test("throws the errors of CloudWatch Logs", async () => {
  await assert.rejects(log("GetLogEvents", { logGroupName: "/no", logStreamName }), (error) => {
    return error instanceof logs.ResourceNotFoundException && error.message === "The specified log group does not exist.";
  });
  await assert.rejects(log("CreateLogGroup", { logGroupName }), (error) => error instanceof logs.ResourceAlreadyExistsException);
});

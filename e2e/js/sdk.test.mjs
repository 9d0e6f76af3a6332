// The JavaScript SDK v3, unmodified, against a running server named by AWS_ENDPOINT_URL.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";

const require = createRequire(join(process.env.HEARTH_NODE_MODULES, "x.js"));
const sdk = require("@aws-sdk/client-lambda");

const client = new sdk.LambdaClient({ maxAttempts: 1 });
const send = (command, input) => client.send(new sdk[`${command}Command`](input));
const Runtime = `nodejs${process.versions.node.split(".")[0]}.x`;
const Role = "arn:aws:iam::000000000000:role/test";
const FunctionName = `js-${process.pid}`;

function zip(code) {
  const folder = mkdtempSync(join(tmpdir(), "hearth-js-"));
  try {
    writeFileSync(join(folder, "index.mjs"), code);
    execFileSync("python3", ["-m", "zipfile", "-c", "f.zip", "index.mjs"], { cwd: folder });
    return readFileSync(join(folder, "f.zip"));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const code = (answer) => `export const handler = async (event) => { console.log("seen"); if (event.fail) throw new Error("asked to"); return ${answer}; };`;

before(async () => {
  await send("CreateFunction", { FunctionName, Runtime, Role, Handler: "index.handler", MemorySize: 1769, Code: { ZipFile: zip(code("event")) } });
  await sdk.waitUntilFunctionActiveV2({ client, maxWaitTime: 60, minDelay: 1 }, { FunctionName });
});

after(() => send("DeleteFunction", { FunctionName }));

test("invokes", async () => {
  const event = { text: "ä€😀", list: [1, null] };
  const answer = await send("Invoke", { FunctionName, Payload: JSON.stringify(event), LogType: "Tail" });
  assert.equal(answer.StatusCode, 200);
  assert.equal(answer.ExecutedVersion, "$LATEST");
  assert.deepEqual(JSON.parse(answer.Payload.transformToString()), event);
  assert.match(Buffer.from(answer.LogResult, "base64").toString(), /\tINFO\tseen\n[^]*REPORT RequestId/);
});

test("tells function errors", async () => {
  const answer = await send("Invoke", { FunctionName, Payload: '{"fail": true}' });
  assert.equal(answer.FunctionError, "Unhandled");
  const error = JSON.parse(answer.Payload.transformToString());
  assert.equal(error.errorType, "Error");
  assert.equal(error.errorMessage, "asked to");
});

test("reads streams", async () => {
  const streaming = { FunctionName: `${FunctionName}-stream`, Runtime, Role, Handler: "index.handler", MemorySize: 1769 };
  const body = 'export const handler = awslambda.streamifyResponse(async (event, out) => { for (const part of event) { if (part === null) throw new RangeError("no"); out.write(part); } out.end(); });';
  await send("CreateFunction", { ...streaming, Code: { ZipFile: zip(body) } });
  await sdk.waitUntilFunctionActiveV2({ client, maxWaitTime: 60, minDelay: 1 }, { FunctionName: streaming.FunctionName });
  const read = async (event) => {
    const answer = await send("InvokeWithResponseStream", { FunctionName: streaming.FunctionName, Payload: JSON.stringify(event) });
    assert.equal(answer.ExecutedVersion, "$LATEST");
    const parts = [];
    let end;
    for await (const { PayloadChunk, InvokeComplete } of answer.EventStream) {
      if (PayloadChunk) parts.push(Buffer.from(PayloadChunk.Payload));
      if (InvokeComplete) end = InvokeComplete;
    }
    return [Buffer.concat(parts).toString(), end];
  };
  try {
    const long = "ä".repeat(1 << 20);
    const [whole, end] = await read(["one ", "two ", long]);
    assert.deepEqual([whole === `one two ${long}`, end.ErrorCode], [true, undefined]);
    const [some, broken] = await read(["some", null]);
    assert.deepEqual([some, broken.ErrorCode, JSON.parse(broken.ErrorDetails).errorMessage], ["some", "RangeError", "no"]);
  } finally {
    await send("DeleteFunction", { FunctionName: streaming.FunctionName });
  }
});

test("reads configurations and lists", async () => {
  const got = await send("GetFunction", { FunctionName });
  assert.equal(got.Configuration.State, "Active");
  assert.equal((await fetch(got.Code.Location)).status, 200);
  const names = [];
  for await (const page of sdk.paginateListFunctions({ client, pageSize: 1 }, {})) {
    names.push(...page.Functions.map((f) => f.FunctionName));
  }
  assert.ok(names.includes(FunctionName));
});

test("updates code and configuration", async () => {
  await send("UpdateFunctionCode", { FunctionName, ZipFile: zip(code('"new"')) });
  await sdk.waitUntilFunctionUpdatedV2({ client, maxWaitTime: 60, minDelay: 1 }, { FunctionName });
  const answer = await send("Invoke", { FunctionName, Payload: "{}" });
  assert.equal(answer.Payload.transformToString(), '"new"');
  await send("UpdateFunctionConfiguration", { FunctionName, Description: "changed" });
  await sdk.waitUntilFunctionUpdatedV2({ client, maxWaitTime: 60, minDelay: 1 }, { FunctionName });
  assert.equal((await send("GetFunctionConfiguration", { FunctionName })).Description, "changed");
});

test("throws the service's own errors", async () => {
  await assert.rejects(send("GetFunction", { FunctionName: "nowhere" }), (error) => {
    assert.ok(error instanceof sdk.ResourceNotFoundException);
    assert.equal(error.$metadata.httpStatusCode, 404);
    return true;
  });
  await assert.rejects(send("CreateFunction", { FunctionName, Runtime, Role, Handler: "i.h", Code: { ZipFile: zip("") } }), sdk.ResourceConflictException);
  await assert.rejects(send("Invoke", { FunctionName, Payload: "{" }), sdk.InvalidRequestContentException);
});

test("dry runs", async () => {
  assert.equal((await send("Invoke", { FunctionName, InvocationType: "DryRun" })).StatusCode, 204);
});

test("shows what does not exist yet", async () => {
  await assert.rejects(send("ListCapacityProviders", {}), (error) => {
    assert.equal(error.$metadata.httpStatusCode, 501);
    assert.match(error.message, /ListCapacityProviders/);
    return true;
  });
});

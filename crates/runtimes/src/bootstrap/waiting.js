'use strict';
// A process that is started ahead of its function: how it waits, and with what it plays a start before that.
const fs = require('node:fs');
const net = require('node:net');

const ASSIGNMENT = 63; // The descriptor at which it waits.
const realExit = process.exit.bind(process);

/** Returns when it has been told the function's variables, which end the process's own. */
function waitForFunction() {
  // To the last one: where the system keeps them, the function's will be written.
  for (const name of Object.keys(process.env)) delete process.env[name];
  fs.writeSync(ASSIGNMENT, 'w');
  const told = hear(ASSIGNMENT);
  if (told.length === 0) realExit(0); // It is not needed any more.
  takeVariables(told);
  process.chdir(process.env.LAMBDA_TASK_ROOT ?? '/var/task'); // What was here is below the code now.
}

/** All that comes from this descriptor. */
function hear(descriptor) {
  const chunks = [];
  for (;;) {
    const chunk = Buffer.alloc(65536), length = fs.readSync(descriptor, chunk);
    if (length === 0) break;
    chunks.push(chunk.subarray(0, length));
  }
  fs.closeSync(descriptor);
  return Buffer.concat(chunks);
}

function takeVariables(told) {
  for (const variable of told.toString('utf8').split('\0').slice(0, -1)) {
    const end = variable.indexOf('=');
    process.env[variable.slice(0, end)] = variable.slice(end + 1);
  }
}

/** Plays a function that does nothing, from its variables to its answer: whatever runs for the first time is compiled or loaded
    then, which takes longer than all else of a start from here. */
async function rehearse({ patchConsole, provideGlobal, requireFrom, findHandler, turn, RuntimeApi, NEXT }) {
  try {
    hear(fs.openSync(__filename));
    takeVariables(Buffer.from('TZ=:UTC\0'));
    patchConsole();
    provideGlobal();
    requireFrom(__dirname);
    const handler = await findHandler(__dirname, 'empty.handler');
    await import('./empty.mjs?again'); // The other way to load a module, which those take that await something.
    await withRuntimeApi(async (address) => {
      const api = await RuntimeApi.connect(address);
      api.send(NEXT);
      await turn(api, handler);
      api.abandon();
    });
    gc({ type: 'minor' }); // Rather than in the midst of the function's start.
  } catch {} // The start is slower, and nothing else.
}

/** Has a Runtime API listen while `use` works with its address. */
async function withRuntimeApi(use) {
  // Whenever a socket ends, Node.js looks whether it is this one, and makes it for that.
  const stderr = Object.getOwnPropertyDescriptor(process, 'stderr');
  Object.defineProperty(process, 'stderr', { value: null, configurable: true });
  const server = net.createServer({ noDelay: true }, playRuntimeApi);
  try {
    await new Promise((resolve, reject) => {
      server.once('error', reject).once('listening', resolve);
      server._listen2('127.0.0.1', 0, 4, 1); // What `listen` does at last; it loads `cluster` first, which takes 7 ms.
    });
    await use(`127.0.0.1:${server.address().port}`);
  } finally {
    await new Promise((resolve) => { server.close(resolve); });
    Object.defineProperty(process, 'stderr', stderr);
  }
}

/** One event for who asks, and a receipt for the answer. */
function playRuntimeApi(socket) {
  const head = (status, headers) => `HTTP/1.1 ${status}\r\nContent-Type: application/json\r\n${headers}\r\n`;
  socket.on('error', () => {}); // It is abandoned.
  socket.once('data', () => {
    socket.write(`${head('200 OK', 'Lambda-Runtime-Aws-Request-Id: 0\r\nLambda-Runtime-Deadline-Ms: 0\r\nContent-Length: 2\r\n')}{}`);
    socket.once('data', () => { socket.write(head('202 Accepted', 'Content-Length: 0\r\n')); });
  });
}

// A function does not find it among what is loaded.
delete require.cache[__filename];
module.parent.children.pop();

module.exports = { waitForFunction, rehearse };

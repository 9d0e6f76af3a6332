'use strict';
// Runs a Node.js function: asks the Runtime API for one event after the other and gives each to the handler.
// Built-in modules only, and few of them: what a require costs here, each cold start pays.
forgetFlags();
const fs = require('node:fs');
const net = require('node:net');
const path = require('node:path');
const { load, requireFrom } = require('./loading.js');

const MAJOR = Number(process.versions.node.split('.')[0]);
const CALLBACKS_GONE = 24; // From nodejs24.x on a handler answers with its promise only.
const INIT_FAILED = MAJOR >= CALLBACKS_GONE ? 'Init Error' : 'Uncaught Exception';
const NEXT = Buffer.from('GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: runtime\r\n\r\n');
const realExit = process.exit.bind(process);
let currentRequestId, tenantId;

// Sets V8's flags back, now that the heap has its size and `gc` is there. With others than those that Node.js was built with
// V8 compiles each built-in module anew: `https` takes 12 ms instead of 5.
function forgetFlags() {
  const { noDeprecation } = process;
  process.noDeprecation = true; // The module `v8` is loaded in the slow way itself; from 24 on there is no other way to ask.
  try {
    const { setFlagsFromString } = parseInt(process.versions.node, 10) < 24 ? process.binding('v8') : require('node:v8');
    ['--max-old-space-size=0', '--no-expose-gc'].forEach((flag) => setFlagsFromString(flag));
  } catch {} // A version that does not let itself be asked so is slower, and nothing else.
  process.noDeprecation = noDeprecation;
}

// A built-in module that not every process needs. Node.js looks through all its exports each time that it is required.
const builtin = (name) => (builtin[name] ??= require(name));

// ---- Runtime API: one kept-alive connection, one write per message, answers with a Content-Length. ----

class RuntimeApi {
  #socket; #holders = 1; #data = Buffer.alloc(0); #waiting = null; #failure = null;

  static connect(address) {
    const split = address.lastIndexOf(':');
    const api = new RuntimeApi();
    return new Promise((resolve, reject) => {
      api.#socket = net.connect({ host: address.slice(0, split), port: Number(address.slice(split + 1)), noDelay: true });
      api.#socket.once('connect', () => resolve(api));
      api.#socket.on('error', (error) => { reject(error); api.#fail(error); });
      api.#socket.on('close', () => api.#fail(new Error('the Runtime API closed the connection')));
      api.#socket.on('data', (chunk) => {
        api.#data = api.#data.length === 0 ? chunk : Buffer.concat([api.#data, chunk]);
        api.#deliver();
      });
    });
  }

  // While a handler runs, only its own work keeps the event loop alive.
  hold() { if (this.#holders++ === 0) this.#socket.ref(); }
  release() { if (--this.#holders === 0) this.#socket.unref(); }

  /** Whether more may be sent at once. */
  send(message, whenWritten) { return this.#socket.write(message, whenWritten); }

  /** Calls back when what was sent has been taken; nothing else needs to keep the event loop alive until then. */
  drained(then) {
    this.hold();
    this.#socket.once('drain', () => { this.release(); then(); });
  }

  abandon() { this.#socket.resetAndDestroy(); }

  receive() {
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
      if (this.#failure) reject(this.#failure); else this.#deliver();
    });
  }

  #fail(error) {
    this.#failure ??= error;
    this.#waiting?.reject(error);
  }

  #wanted = 0; #head = null;

  #deliver() {
    if (!this.#waiting || this.#data.length === 0 || this.#data.length < this.#wanted) return;
    if (!this.#head) {
      const end = this.#data.indexOf('\r\n\r\n');
      if (end < 0) return;
      const lines = this.#data.toString('utf8', 0, end).split('\r\n');
      const headers = new Map();
      for (const line of lines.slice(1)) {
        const colon = line.indexOf(':');
        headers.set(line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim());
      }
      this.#head = { status: Number(lines[0].split(' ', 2)[1]), headers, start: end + 4 };
      this.#wanted = end + 4 + Number(headers.get('content-length') ?? 0);
      if (this.#data.length < this.#wanted) return;
    }
    const { status, headers, start } = this.#head;
    const body = this.#data.subarray(start, this.#wanted);
    this.#data = this.#data.subarray(this.#wanted);
    this.#head = null;
    this.#wanted = 0;
    const { resolve } = this.#waiting;
    this.#waiting = null;
    resolve({ status, headers, body });
  }
}

function post(where, body, contentType = 'application/json', extra = '') {
  const bytes = Buffer.isBuffer(body) ? body : Buffer.from(body, 'utf8');
  const head = `POST /2018-06-01/runtime/${where} HTTP/1.1\r\nHost: runtime\r\nContent-Type: ${contentType}\r\n${extra}` +
    `Content-Length: ${bytes.length}\r\n\r\n`;
  return Buffer.concat([Buffer.from(head, 'latin1'), bytes]);
}

// ---- Errors ----

class RuntimeFault extends Error {
  constructor(kind, message) {
    super(message);
    this.stack = `Runtime.${kind}${this.stack.slice('Error'.length)}`;
    // What is enumerable is logged.
    Object.defineProperty(this, 'name', { value: `Runtime.${kind}`, enumerable: MAJOR >= CALLBACKS_GONE });
  }
}

// Frames at a stack's end that only tell how this file came to call the function.
const BELOW_THE_FUNCTION = /^ {4}at (?:new Promise \(<anonymous>\)$|(?:process\.)?processTicksAndRejections |.*\/(?:bootstrap|loading)\.js:\d)/;

/** A stack's lines; of the frames below the function only the one that called it, as the service shows it. */
function stackLines(error) {
  const lines = (typeof error.stack === 'string' ? error.stack : `${error.name}: ${error.message}`).split('\n');
  let own = lines.length - 1;
  while (own >= 0 && BELOW_THE_FUNCTION.test(lines[own])) own -= 1;
  return lines.slice(0, own + 2);
}

/** What is answered as an error: up to 22 also what only looks like one. */
const isError = MAJOR >= CALLBACKS_GONE ? (value) => value instanceof Error
  : (value) => Object.prototype.toString.call(value) === '[object Error]' ||
    ['name', 'message', 'stack'].every((member) => typeof value?.[member] === 'string' && value[member] !== '');

function errorObject(error) {
  const printable = (text) => text?.replace(/\x7F/g, '%7F');
  try {
    if (!isError(error)) return { errorType: typeof error, errorMessage: String(error), trace: [] };
    return { errorType: printable(error.name), errorMessage: printable(error.message), trace: stackLines(error).map(printable) };
  } catch {
    return { errorType: 'handled', errorMessage: 'callback called with Error argument, but there was a problem while ' +
      'retrieving one or more of its message, name, and stack', trace: [] };
  }
}

/** The error as one JSON text in the log: `stack` for what the answer calls `trace`, and all members of its own. */
function forLog(error) {
  const whole = (_, value) => (value instanceof Error ? { errorType: value.name, errorMessage: value.message, code: value.code,
    ...value, ...(typeof value.stack === 'string' && { stack: stackLines(value) }) } : value);
  try { return `\t${JSON.stringify(error, whole)}`; } catch { return `\t${JSON.stringify(errorObject(error))}`; }
}

const faultHeader = (error, otherwise) => `Lambda-Runtime-Function-Error-Type: ${
  isError(error) && /^(Runtime|Function)\.[A-Z][a-zA-Z]+$/.test(error.name) ? error.name : otherwise}\r\n`;
/** For the trace of the invoke; before the first one nobody knows whether it has one. */
function causeHeader(object) {
  if (process.env._X_AMZN_TRACE_ID?.includes('Sampled=1') === false) return '';
  try { return require('./cause.js').header(object); } catch { return ''; } // No descriptor may be left, nor all members be text.
}

function failurePost(where, error, otherwise) {
  const object = errorObject(error);
  return post(where, JSON.stringify(object), 'application/json', faultHeader(error, otherwise) + causeHeader(object));
}
const errorPost = (id, error) => failurePost(`invocation/${id}/error`, error, 'Function.Unknown');

// ---- Log ----

function writeLog(text) {
  const bytes = Buffer.from(text, 'utf8');
  let done = 0;
  while (done < bytes.length) {
    try {
      done += fs.writeSync(1, bytes, done);
    } catch (error) {
      if (error.code !== 'EAGAIN') return;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1); // The pipe is full: let its reader work.
    }
  }
}

let logsJson = false;
const LEVELS = ['TRACE', 'DEBUG', 'INFO', 'WARN', 'ERROR', 'FATAL'];

function patchConsole() {
  logsJson = process.env.AWS_LAMBDA_LOG_FORMAT === 'JSON';
  const { format } = builtin('node:util');
  const text = (level, args) =>
    `${new Date().toISOString()}\t${currentRequestId}\t${level}\t${format(...args).replace(/\n/g, '\r')}\n`;
  const line = logsJson ? (level, args) => `${jsonLine(format, level, args)}\n` : text;
  const least = logsJson ? LEVELS.indexOf(process.env.AWS_LAMBDA_LOG_LEVEL?.toUpperCase()) : -1;
  for (const [method, level] of [['log', 'INFO'], ['info', 'INFO'], ['debug', 'DEBUG'], ['warn', 'WARN'],
    ['error', 'ERROR'], ['trace', 'TRACE'], ['fatal', 'FATAL']]) {
    console[method] = LEVELS.indexOf(level) < least ? () => {} : (first, ...others) => writeLog(line(level, [first, ...others]));
  }
}

/** One argument stays what it is; several become a text, and the first error among them members of its own. */
function jsonLine(format, level, args) {
  const line = { timestamp: new Date().toISOString(), level, requestId: currentRequestId, tenantId };
  if (args.length === 1) {
    try {
      const whole = (_, value) => (value instanceof Error ? { ...errorMembers(value), ...value } : value);
      return JSON.stringify({ ...line, message: args[0] }, whole);
    } catch {
      return JSON.stringify({ ...line, message: format(args[0]) });
    }
  }
  const error = args.find((arg) => arg instanceof Error);
  return JSON.stringify({ ...line, message: format(...args), ...(error && errorMembers(error)) });
}

const errorMembers = (error) => ({
  errorType: error.constructor?.name ?? 'UnknownError',
  errorMessage: error.message,
  stackTrace: typeof error.stack === 'string' ? stackLines(error) : [],
});

function logError(label, thrown) {
  const error = thrown instanceof Error ? thrown : new Error(String(thrown));
  if (logsJson) console.error(error); else console.error(label, forLog(error));
}

// ---- Finding the handler ----

async function findHandler(taskRoot, text) {
  if (text.includes('..')) {
    throw new RuntimeFault('MalformedHandlerName',
      `'${text}' is not a valid handler name. Use absolute paths when specifying root directories in handler names.`);
  }
  const base = path.basename(text);
  const directory = text.slice(0, text.length - base.length).slice(0, -1);
  const dot = base.indexOf('.');
  if (dot <= 0 || dot === base.length - 1) throw new RuntimeFault('MalformedHandlerName', 'Bad handler');
  const [name, property] = [base.slice(0, dot), base.slice(dot + 1)];
  let module;
  try {
    module = await load(taskRoot, directory, name);
  } catch (error) {
    if (error?.code === 'MODULE_NOT_FOUND') throw new RuntimeFault('ImportModuleError', error);
    if (!(error instanceof SyntaxError)) throw error;
    const fault = new RuntimeFault('UserCodeSyntaxError', error);
    // Where it is stands in its own stack alone. From 24 on that is all of the trace.
    fault.stack = MAJOR >= CALLBACKS_GONE ? error.stack : `${fault.name}: ${fault.message}\n${error.stack}`;
    throw fault;
  }
  const inside = (whole) => property.split('.').reduce((value, part) => value?.[part], whole);
  const handler = inside(module) || (MAJOR >= CALLBACKS_GONE && inside(module?.default));
  if (!handler) throw new RuntimeFault('HandlerNotFound', `${text} is undefined or not exported`);
  if (typeof handler !== 'function') throw new RuntimeFault('HandlerNotFound', `${text} is not a function`);
  if (handler[STREAMING] !== undefined && handler[STREAMING] !== 'response') {
    throw new RuntimeFault('MalformedStreamingHandler', 'Only response streaming is supported.');
  }
  if (MAJOR >= CALLBACKS_GONE && handler.length >= 3 && !handler[STREAMING]) {
    throw new RuntimeFault('CallbackHandlerDeprecated', 'ERROR: AWS Lambda has removed support for callback-based function ' +
      'handlers starting with Node.js 24. You need to modify this function to use a supported handler signature to use Node.js ' +
      '24 or later. For more information see https://docs.aws.amazon.com/lambda/latest/dg/nodejs-handler.html.');
  }
  return handler;
}

// ---- Streaming handlers ----

const STREAMING = Symbol.for('aws.lambda.runtime.handler.streaming');
const HIGH_WATER_MARK = Symbol.for('aws.lambda.runtime.handler.streaming.highWaterMark');

function provideGlobal() {
  if (['1', 'true'].includes(process.env.AWS_LAMBDA_NODEJS_NO_GLOBAL_AWSLAMBDA)) return;
  globalThis.awslambda = {
    streamifyResponse(handler, options) {
      return Object.assign(handler, { [STREAMING]: 'response', [HIGH_WATER_MARK]: options?.highWaterMark });
    },
    HttpResponseStream: {
      from(stream, metadata) {
        stream.setMetadata(metadata);
        return stream;
      },
    },
  };
}

/** Runs a streaming handler; few functions have one. */
const runStreaming = (...args) => require('./streams.js').run({
  RuntimeFault, Runtime, contextFrom, errorObject, errorPost, faultHeader, logError,
  whenEmpty: (action) => { onEmptyLoop = action; },
  whenCrashed: (message) => { onCrash = message; },
}, ...args);

// ---- One invoke ----

function contextFrom(id, headers) {
  const deadline = Number(headers.get('lambda-runtime-deadline-ms'));
  const { env } = process, json = (name) => (headers.get(name) ? JSON.parse(headers.get(name)) : undefined);
  return {
    ...(MAJOR < CALLBACKS_GONE && { callbackWaitsForEmptyEventLoop: true }),
    functionVersion: env.AWS_LAMBDA_FUNCTION_VERSION, functionName: env.AWS_LAMBDA_FUNCTION_NAME,
    memoryLimitInMB: env.AWS_LAMBDA_FUNCTION_MEMORY_SIZE,
    logGroupName: env.AWS_LAMBDA_LOG_GROUP_NAME, logStreamName: env.AWS_LAMBDA_LOG_STREAM_NAME,
    clientContext: json('lambda-runtime-client-context'), identity: json('lambda-runtime-cognito-identity'),
    invokedFunctionArn: headers.get('lambda-runtime-invoked-function-arn'),
    awsRequestId: id,
    tenantId: headers.get('lambda-runtime-aws-tenant-id'),
    ...(MAJOR >= CALLBACKS_GONE && { xRayTraceId: headers.get('lambda-runtime-trace-id') }),
    getRemainingTimeInMillis: () => deadline - Date.now(),
  };
}

const jsonOf = (value) => {
  try {
    return JSON.stringify(value === undefined ? null : value) ?? 'null';
  } catch {
    const text = 'Unable to stringify response body';
    throw MAJOR >= CALLBACKS_GONE ? new RuntimeFault('JSONStringifyError', text) : new Error(text);
  }
};

let onEmptyLoop = null; // What happens when nothing is left to run: set while a handler works.
process.on('beforeExit', () => { const action = onEmptyLoop; onEmptyLoop = null; action?.(); });
// What an error that nobody catches is answered with: during init, during an invoke, and (nothing) between invokes.
let onCrash = (error) => failurePost('init/error', error, 'Runtime.Unknown');
const nobodyAsked = () => null;

/** Handlers are called as the service calls them: traces name the same two methods. */
class Runtime {
  constructor(handler) { this.handler = handler; }

  handleOnceNonStreaming(...args) { return this.handler(...args); }

  handleOnceStreaming(...args) { return this.handler(...args); }
}

/** Runs the handler to its end: the message that answers the invoke. */
function runOne(api, handler, id, headers, body) {
  return new Promise((resolve) => {
    let open = true;
    const settle = (make) => {
      if (!open) return;
      open = false;
      onEmptyLoop = null;
      try { resolve(make()); } catch (error) { resolve(failure(error)); }
    };
    const failure = (error) => {
      logError('Invoke Error', error);
      return errorPost(id, error);
    };
    const succeed = (value) => settle(() => post(`invocation/${id}/response`, jsonOf(value)));
    const failed = (error) => settle(() => failure(error));
    onCrash = (error) => { open = false; return errorPost(id, error); };
    let thrown = failed; // What is thrown before a promise is there.
    try {
      const context = contextFrom(id, headers);
      const event = JSON.parse(body.toString('utf8'));
      if (MAJOR >= CALLBACKS_GONE) {
        onEmptyLoop = () => failed(new RuntimeFault('NodeJsExit', 'The event loop is empty and the promise of the ' +
          'handler was never settled'));
        Promise.resolve(new Runtime(handler).handleOnceNonStreaming(event, context)).then(succeed, failed);
        return;
      }
      onEmptyLoop = () => succeed(null); // Neither a promise nor a call of the callback: the answer is null.
      const callback = answersOf(context, succeed, failed);
      thrown = callback;
      const result = new Runtime(handler).handleOnceNonStreaming(event, context, callback);
      if (typeof result?.then === 'function') result.then(context.succeed, context.fail);
    } catch (error) {
      thrown(error);
    }
  });
}

/** The callback, and what the context has of its kind: the first that is called answers, and the promise is one of them. Only
    what the callback is given waits for an empty event loop. */
function answersOf(context, succeed, failed) {
  let called = false;
  const first = (answer) => (...args) => { if (!called) { called = true; answer(...args); } };
  const given = (value) => value !== undefined && value !== null;
  const done = (error, value) => (given(error) ? failed(error) : succeed(value));
  context.done = first(done);
  context.fail = first((error) => failed(given(error) ? error : 'handled'));
  context.succeed = first(succeed);
  return first((error, value) => {
    if (given(error) || context.callbackWaitsForEmptyEventLoop === false) done(error, value);
    else onEmptyLoop = () => { setImmediate(() => succeed(value)); };
  });
}

function crash(api, label, error, code) {
  logError(label, error);
  const message = onCrash(error);
  onCrash = nobodyAsked;
  if (!message) realExit(code);
  api.hold();
  api.send(message, () => realExit(code));
}

/** Takes one event and answers it. */
async function turn(api, handler) {
  const { status, headers, body } = await api.receive();
  if (status !== 200) throw new Error(`the Runtime API answered next with ${status}: ${body}`);
  currentRequestId = headers.get('lambda-runtime-aws-request-id');
  tenantId = headers.get('lambda-runtime-aws-tenant-id');
  const trace = headers.get('lambda-runtime-trace-id');
  if (trace) process.env._X_AMZN_TRACE_ID = trace; else delete process.env._X_AMZN_TRACE_ID;
  api.release();
  const run = handler[STREAMING] ? runStreaming : runOne;
  const message = await run(api, handler, currentRequestId, headers, body);
  onCrash = nobodyAsked;
  api.hold();
  // The answer and the wish for more go out in one piece: nothing happens between them.
  api.send(Buffer.concat([message, NEXT]));
  await api.receive();
}

async function main() {
  const waiting = process.env._HEARTH_AHEAD === undefined ? null : require('./waiting.js');
  if (waiting) {
    const crashed = onCrash;
    await waiting.rehearse({ patchConsole, provideGlobal, requireFrom, findHandler, turn, RuntimeApi, NEXT });
    delete globalThis.awslambda;
    currentRequestId = tenantId = undefined;
    onCrash = crashed;
  }
  const api = await RuntimeApi.connect(process.env.AWS_LAMBDA_RUNTIME_API);
  waiting?.waitForFunction();
  patchConsole();
  provideGlobal();
  process.on('uncaughtException', (error) => crash(api, 'Uncaught Exception', error, 129));
  process.on('unhandledRejection', (reason, promise) => {
    const error = Object.assign(new RuntimeFault('UnhandledPromiseRejection', reason), { reason, promise });
    crash(api, 'Unhandled Promise Rejection', error, 128);
  });
  api.release();
  let handler;
  try {
    onEmptyLoop = () => crash(api, INIT_FAILED,
      new RuntimeFault('NodeJsExit', 'The event loop is empty and the module of the handler never finished loading'), 13);
    handler = await findHandler(process.env.LAMBDA_TASK_ROOT ?? '/var/task', process.env._HANDLER);
    onEmptyLoop = null;
  } catch (error) {
    onEmptyLoop = null;
    crash(api, INIT_FAILED, error, 1);
    return;
  }
  onCrash = nobodyAsked;
  api.hold();
  api.send(NEXT);
  for (;;) await turn(api, handler);
}

main().catch((error) => {
  logError('Runtime Error', error);
  realExit(1);
});

'use strict';
// Streaming handlers and what they write their answers to. Loaded for functions with such a handler only.

const { Writable } = require('node:stream');

const HIGH_WATER_MARK = Symbol.for('aws.lambda.runtime.handler.streaming.highWaterMark');
const TYPE = 'application/octet-stream';
const HTTP_TYPE = 'application/vnd.awslambda.http-integration-response';
const PRELUDE_END = Buffer.alloc(8);
const END = Buffer.from('0\r\n\r\n');
const ERROR_BYTES = 11 * 1024; // Base64 makes a third more of it, and the Runtime API takes 16 KiB of trailers.

const crlf = Buffer.from('\r\n');
/** No chunk of nothing: that would be the last one. */
const chunk = (bytes) => (bytes.length === 0 ? bytes
  : Buffer.concat([Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, crlf]));
/** What is neither text nor bytes is sent as JSON. */
const plain = (value) => (typeof value === 'string' || value instanceof Uint8Array ? value : JSON.stringify(value));

/** An answer in parts: its head goes out with the first one. */
class ResponseStream extends Writable {
  #api; #where; #invalid; #contentType = TYPE; #prelude = Buffer.alloc(0); #begun = false; #over = false;

  /** `invalid` makes the error for what comes too late. */
  constructor(api, where, highWaterMark, invalid) {
    super({ ...(highWaterMark !== undefined && { highWaterMark }) });
    this.#api = api;
    this.#where = where;
    this.#invalid = invalid;
  }

  /** Whether the answer has been sent to its end. */
  get over() { return this.#over; }

  setContentType(type) {
    if (this.#begun) throw this.#invalid('Cannot set content-type, too late.');
    if (/[^\t\x20-\x7e\x80-\xff]/.test(type)) throw new TypeError('Invalid character in content-type');
    this.#contentType = type;
  }

  /** Status, headers and cookies of an answer over HTTP go ahead of its body. */
  setMetadata(metadata) {
    this.setContentType(HTTP_TYPE);
    this.#prelude = Buffer.concat([Buffer.from(JSON.stringify(metadata)), PRELUDE_END]);
  }

  write(value, ...rest) { return super.write(plain(value), ...rest); }

  end(value, ...rest) {
    const last = value === undefined || value === null || typeof value === 'function' ? value : plain(value);
    return super.end(last, ...rest);
  }

  _write(bytes, encoding, done) { this.#send([bytes], done); }

  _writev(chunks, done) { this.#send(chunks.map((one) => one.chunk), done); }

  _final(done) {
    this.#api.send(Buffer.concat([this.#head(), END]));
    this.#over = true;
    done();
  }

  /** Takes nothing more. The message that ends the answer with an error, if it has begun. */
  breakOff(type, object) {
    this.#api = { send: () => true };
    if (!this.#begun) return null;
    const body = Buffer.from(short(object)).toString('base64');
    return Buffer.from(`0\r\n${type}Lambda-Runtime-Function-Error-Body: ${body}\r\n\r\n`, 'latin1');
  }

  #send(parts, done) {
    const head = this.#head();
    const bytes = chunk(parts.length === 1 ? parts[0] : Buffer.concat(parts));
    if (this.#api.send(head.length === 0 ? bytes : Buffer.concat([head, bytes]))) done();
    else this.#api.drained(done);
  }

  #head() {
    if (this.#begun) return Buffer.alloc(0);
    this.#begun = true;
    const head = `POST /2018-06-01/runtime/${this.#where} HTTP/1.1\r\nHost: runtime\r\nContent-Type: ${this.#contentType}\r\n` +
      'Lambda-Runtime-Function-Response-Mode: streaming\r\nTransfer-Encoding: chunked\r\n' +
      'Trailer: Lambda-Runtime-Function-Error-Type, Lambda-Runtime-Function-Error-Body\r\n\r\n';
    return Buffer.concat([Buffer.from(head, 'latin1'), chunk(this.#prelude)]);
  }
}

/** An error as JSON that fits into a trailer. */
function short(object) {
  const text = JSON.stringify(object);
  if (Buffer.byteLength(text) <= ERROR_BYTES) return text;
  const { errorType, errorMessage } = object;
  return JSON.stringify({ errorType: errorType?.slice(0, 200), errorMessage: errorMessage?.slice(0, 1000), trace: [] });
}

/** Runs the handler until it and its stream have ended: what is still to be sent. `tools` are the bootstrap's. */
async function run(tools, api, handler, id, headers, body) {
  const { RuntimeFault, Runtime, contextFrom, errorObject, errorPost, faultHeader, logError } = tools;
  const invalid = (message) => new RuntimeFault('InvalidStreamingOperation', message);
  const stream = new ResponseStream(api, `invocation/${id}/response`, handler[HIGH_WATER_MARK], invalid);
  const finished = new Promise((resolve, reject) => { stream.once('finish', resolve); stream.on('error', reject); });
  const emptied = new Promise((resolve, reject) => {
    tools.whenEmpty(() => (stream.over ? resolve() : reject(new RuntimeFault('NodeJsExit',
      'The event loop is empty and the response stream was never ended'))));
  });
  const failed = (error) => (stream.over ? null
    : stream.breakOff(faultHeader(error, 'Function.Unknown'), errorObject(error)) ?? errorPost(id, error));
  tools.whenCrashed(failed);
  try {
    const event = JSON.parse(body.toString('utf8'));
    const result = new Runtime(handler).handleOnceStreaming(event, stream, contextFrom(id, headers));
    if (typeof result?.then !== 'function') {
      throw new RuntimeFault('MalformedStreamingHandler', 'Streaming does not support non-async handlers.');
    }
    await Promise.race([Promise.all([result, finished]), emptied]);
    return Buffer.alloc(0);
  } catch (error) {
    logError('Invoke Error', error);
    return failed(error) ?? Buffer.alloc(0);
  } finally {
    tools.whenEmpty(null);
    finished.catch(() => {});
    emptied.catch(() => {});
  }
}

module.exports = { run };

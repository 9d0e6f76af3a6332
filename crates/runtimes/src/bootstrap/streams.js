'use strict';
// What a function writes a streamed answer to. Loaded for functions with such a handler only.

const { Writable } = require('node:stream');

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
  return JSON.stringify({ errorType: errorType.slice(0, 200), errorMessage: errorMessage.slice(0, 1000), trace: [] });
}

module.exports = { ResponseStream };

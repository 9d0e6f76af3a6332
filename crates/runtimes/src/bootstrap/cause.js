// What an error came from, for the trace of its invoke: loaded where one is told of.
'use strict';

const LETTERS = 4096;
const FRAMES = 256;
const LINE = 1000; // Longer ones name no place, and would be looked through again and again.

/** `at label (path:line:column)`, or without a label. */
function frame(line) {
  const [, label, path, number] = /^\s*at (?:(.*?) \()?(.*?):(\d+):\d+\)?$/.exec(line.length > LINE ? '' : line) ?? [];
  return path && { path, line: Number(number), label: label ?? 'anonymous' };
}

/** A header with the exception: its words' beginning, and the first frames. Throws where it cannot be told. */
exports.header = ({ errorType: type, errorMessage, trace }) => {
  const stack = trace.slice(1, FRAMES + 1).map(frame).filter(Boolean);
  const cause = JSON.stringify({ exceptions: [{ type, message: errorMessage.slice(0, LETTERS), stack }] });
  const ascii = cause.replace(/[\u007f-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
  return `Lambda-Runtime-Function-XRay-Error-Cause: ${ascii}\r\n`;
};

'use strict';
// Finds the file of a function's handler, and loads it.
const fs = require('node:fs');
const path = require('node:path');
const { createRequire } = require('node:module');

const readable = (file) => fs.existsSync(file) && fs.statSync(file).isFile();

/** Whether `.js` files here are ES modules: the nearest package.json says so. */
function isModulePackage(directory) {
  for (let at = directory; path.basename(at) !== 'node_modules'; at = path.dirname(at)) {
    const file = path.join(at, 'package.json');
    if (readable(file)) {
      try { return JSON.parse(fs.readFileSync(file, 'utf8')).type === 'module'; } catch { return false; }
    }
    if (path.dirname(at) === at) return false;
  }
  return false;
}

const requireFrom = (taskRoot) => createRequire(path.join(taskRoot, 'index.js'));

/** Whether `require` can load modules here, and `import` is nobody's but Node.js's own. */
const requiresModules = () => process.features.require_module === true && process.env.NODE_OPTIONS === undefined &&
  !process.execArgv.some((argument) => /^(-r|--(require|import|loader|experimental-loader))\b/.test(argument));

/** An error without the frames between a module and this file: they would tell how it was loaded. */
function withoutSteps(error) {
  const steps = /\n {4}at ModuleJobSync\.runSync .*(?:\n {4}at .*(?:node:|\/(?:bootstrap|loading)\.js:).*)*$/;
  try { error.stack = error.stack.replace(steps, ''); } catch {} // Not an error, or one that stays as it is.
  return error;
}

/** What `import` says of a name that is missing, which is more. Nothing has run yet, but here the module is of no use any more. */
function asImportSays(error, url) {
  const { Worker } = require('node:worker_threads');
  const text = `import(${JSON.stringify(url)}).catch((error) => require('node:worker_threads').parentPort.postMessage(error))`;
  return new Promise((resolve) => {
    const nothing = () => resolve(error);
    new Worker(text, { eval: true }).once('message', resolve).once('error', nothing).once('exit', nothing);
  });
}

/** A module. What `import` does by many turns through other threads takes three times as long. */
async function loadModule(taskRoot, file) {
  const url = require('node:url').pathToFileURL(file).href;
  if (requiresModules()) {
    const { types } = require('node:util');
    const fromTask = requireFrom(taskRoot), { emitWarning } = process;
    const quiet = (...told) => (String(told[0]).includes('ES Module in require()') ? undefined : emitWarning.apply(process, told));
    process.emitWarning = quiet;
    try {
      const module = fromTask(file);
      if (types.isModuleNamespaceObject(module)) return module;
    } catch (error) {
      const misses = error instanceof SyntaxError && error.message.includes(' does not provide an export named ');
      if (misses) throw await asImportSays(error, url);
      if (error?.code !== 'ERR_REQUIRE_ASYNC_MODULE') throw withoutSteps(error);
      // It awaits something: nothing has run here either.
    } finally {
      if (process.emitWarning === quiet) process.emitWarning = emitWarning;
      delete require.cache[file];
    }
  }
  return import(url);
}

/** What a handler's file exports, whichever kind of file it is. */
async function load(taskRoot, directory, name) {
  const file = path.resolve(taskRoot, directory, name);
  const script = (at) => requireFrom(taskRoot)(at);
  const module = (at) => loadModule(taskRoot, at);
  if (readable(file)) return script(file);
  if (readable(`${file}.js`)) return isModulePackage(path.dirname(file)) ? module(`${file}.js`) : script(`${file}.js`);
  if (readable(`${file}.mjs`)) return module(`${file}.mjs`);
  if (readable(`${file}.cjs`)) return script(`${file}.cjs`);
  const found = requireFrom(taskRoot).resolve(directory ? `./${path.join(directory, name)}` : name, { paths: [taskRoot, path.join(taskRoot, directory)] });
  return script(found);
}

module.exports = { load, requireFrom };

// An ES module with top-level await: what runs here belongs to the init phase, once per environment.
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";

const source = await readFile(new URL(import.meta.url));
const digest = createHash("sha256").update(source).digest("hex");

export const handler = async (event, context) => {
  console.log(`hello, ${event.name ?? "world"}`);
  return { hello: event.name ?? "world", function: context.functionName, source: digest };
};

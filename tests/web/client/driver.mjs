// Runs scripts in Node, as Playwright does in a page: they come by standard input and results leave by standard output,
// one JSON value a line.

import { createInterface } from "node:readline";

for await (const line of createInterface({ input: process.stdin })) {
  const { script, argument } = JSON.parse(line);
  let answer;
  try {
    answer = { result: await (0, eval)(`(${script})`)(argument) };
  } catch (error) {
    answer = { error: String(error?.stack ?? error) };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
process.exit(0);

// What the drivers in JavaScript share: a request is a line of JSON on stdin, and its answer one on stdout.
import { createInterface } from "node:readline";

// What is to be started: command, args and env; and seconds, after which a call is given up.
export const server = JSON.parse(process.argv[2]);

export const text = (content) => content.map((block) => block.text ?? "").join("\n");

export async function serve({ tools, call, close }) {
  for await (const line of createInterface({ input: process.stdin })) {
    const request = JSON.parse(line);
    const answer = request.tool
      ? { said: await call(request.tool, request.arguments).catch(String) }
      : { tools: await tools() };
    process.stdout.write(`${JSON.stringify(answer)}\n`);
  }
  await close();
}

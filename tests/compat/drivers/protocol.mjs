// What the drivers in JavaScript share: a request is a line of JSON on stdin, and its answer one on stdout.
import { createInterface } from "node:readline";

// `start` has the server's command, args and env; after so many `seconds` a call is given up.
export const server = JSON.parse(process.argv[2]);

export const text = (content) => content.map((block) => block.text ?? "").join("\n");

export async function serve(client, tools, call) {
  for await (const line of createInterface({ input: process.stdin })) {
    const { tool, arguments: args } = JSON.parse(line);
    const answer = tool ? await call(tool, args).catch(String) : await tools();
    process.stdout.write(`${JSON.stringify(answer)}\n`);
  }
  await client.close();
}

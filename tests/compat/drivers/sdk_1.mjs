// The first generation of the TypeScript SDK.
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { serve, server, text } from "./protocol.mjs";

const client = new Client({ name: "compat", version: "1.0.0" });
await client.connect(new StdioClientTransport({ command: server.command, args: server.args, env: server.env }));
const options = { timeout: server.seconds * 1000 };
await serve({
  tools: async () => (await client.listTools()).tools.map((tool) => tool.name),
  call: async (name, args) => text((await client.callTool({ name, arguments: args }, undefined, options)).content),
  close: () => client.close(),
});

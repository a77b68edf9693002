// The second generation of the TypeScript SDK, which finds out the protocol era.
import { Client } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";
import { serve, server, text } from "./protocol.mjs";

const client = new Client({ name: "compat", version: "1.0.0" }, { versionNegotiation: { mode: "auto" } });
await client.connect(new StdioClientTransport({ command: server.command, args: server.args, env: server.env }));
const options = { timeout: server.seconds * 1000 };
await serve({
  tools: async () => (await client.listTools()).tools.map((tool) => tool.name),
  call: async (name, args) => text((await client.callTool({ name, arguments: args }, options)).content),
  close: () => client.close(),
});

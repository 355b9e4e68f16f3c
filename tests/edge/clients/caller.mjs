// Makes calls with one of the npm clients. A line in: whose token, and calls to make at once. A line
// out: what the client told of each.
import { createInterface } from "node:readline";
import { PostgrestClient } from "@supabase/postgrest-js";
import { createClient } from "@supabase/supabase-js";

const [, , name, url, anonKey] = process.argv;
const clients = {
  "postgrest-js": (headers) =>
    new PostgrestClient(`${url}/rest/v1`, { headers: { apikey: anonKey, ...headers } }),
  "supabase-js": (headers) =>
    createClient(url, anonKey, { auth: { persistSession: false }, global: { headers } }),
};

for await (const line of createInterface({ input: process.stdin })) {
  const { token, calls } = JSON.parse(line);
  const client = clients[name]({ Authorization: `Bearer ${token}` });
  const answers = await Promise.all(
    calls.map(async ({ rpc, args, get }) => {
      const { data, error, status } = await client.rpc(rpc, args, { get });
      return { data, error, status };
    }),
  );
  console.log(JSON.stringify(answers));
}

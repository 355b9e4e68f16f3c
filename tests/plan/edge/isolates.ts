// Plays calls, each at its moment in one of several isolates, and writes what the limiter said.
const isolates = new Map<number, Worker>();

const told = (worker: Worker) =>
  new Promise((resolve) => worker.onmessage = ({ data }) => resolve(data));

async function started(number: number) {
  const place = new URL("./isolate.ts", import.meta.url);
  const worker = isolates.get(number) ?? new Worker(place, { type: "module" });
  if (!isolates.has(number)) await told(worker);
  isolates.set(number, worker);
  return worker;
}

const answers = [];
for (const { isolate, at, user } of await new Response(Deno.stdin.readable).json()) {
  const worker = await started(isolate);
  worker.postMessage({ at, user });
  answers.push(await told(worker));
}
console.log(JSON.stringify(answers));
Deno.exit();

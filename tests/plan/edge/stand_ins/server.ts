// In place of std's server: Deno has it built in.
export const serve = (handler: (request: Request) => Promise<Response>) => Deno.serve(handler);

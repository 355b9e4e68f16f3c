// In place of std's hash, so that nothing is fetched.
import { createHash as create } from "node:crypto";

export const createHash = (algorithm: string) => ({
  update: (content: string) => ({ toString: () => create(algorithm).update(content).digest("hex") }),
});

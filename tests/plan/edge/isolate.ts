// One isolate with the plan's limiter, and a clock that is set for each call.
const maps: Map<unknown, unknown>[] = [];
globalThis.Map = class<K, V> extends Map<K, V> {
  constructor() {
    super();
    maps.push(this);
  }
} as MapConstructor;
let now = 0;
Date.now = () => now;

const { checkRateLimit } = await import("./functions/_shared/rate-limiter.ts");
const [remembered] = maps;

self.onmessage = ({ data: { at, user } }: MessageEvent) => {
  now = at;
  self.postMessage({ allowed: checkRateLimit(user).allowed, remembered: remembered.size });
};
self.postMessage("ready");

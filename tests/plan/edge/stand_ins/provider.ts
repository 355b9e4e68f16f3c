// In place of the provider, which takes every job.
export const callProviderAPI = (_prompt: string) =>
  Promise.resolve({ job_id: crypto.randomUUID() });

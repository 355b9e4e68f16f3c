// An Edge function: takes the credits and makes the job, as the user whose token came.
//
// In a Supabase project SUPABASE_URL and SUPABASE_ANON_KEY are there already.
import { createClient } from "@supabase/supabase-js";
import type { Database, ErrorSlug } from "../../../../../functions/database.types.ts";

const url = Deno.env.get("SUPABASE_URL")!;
const anonKey = Deno.env.get("SUPABASE_ANON_KEY")!;

// What the app shows; a slug that it does not know is for the logs.
const told: Partial<Record<ErrorSlug, string>> = {
  insufficient_credits: "Not enough credits.",
  account_blocked: "A refunded purchase is to be paid first.",
  rate_limited: "Slow down a little.",
};

Deno.serve(async (request) => {
  const given = await request.json();
  const supabase = createClient<Database>(url, anonKey, {
    auth: { persistSession: false },
    global: { headers: { Authorization: request.headers.get("Authorization") ?? "" } },
  });
  // The key is the app's, made once for the request: whoever retries with it pays once.
  const { data, error, status } = await supabase.rpc("generate_video_atomic", {
    p_user_id: given.user_id,
    p_model_id: given.model_id,
    p_prompt: given.prompt,
    p_settings: given.settings ?? null,
    p_idempotency_key: request.headers.get("Idempotency-Key") ?? "",
  });
  if (error) {
    const slug = error.message as ErrorSlug;
    const answer = { error: slug, told: told[slug] ?? "Something went wrong." };
    return Response.json(answer, { status: status || 502 }); // 0: nobody answered
  }
  return Response.json({ job: data.job_id, spent: data.credits_used, again: data.replayed });
});

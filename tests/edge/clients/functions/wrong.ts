// Calls that do not fit the definitions: each must be refused by the type checker.
import { createClient } from "@supabase/supabase-js";
import type { Database, ErrorSlug } from "../../../../functions/database.types.ts";

const supabase = createClient<Database>("http://localhost", "key");

// @ts-expect-error no such function
await supabase.rpc("get_video_job", { p_user_id: "" });
// @ts-expect-error an argument too few
await supabase.rpc("get_video_status", { p_user_id: "" });
// @ts-expect-error an argument of another type
await supabase.rpc("get_video_jobs", { p_user_id: 1 });
// @ts-expect-error null where the function takes none
await supabase.rpc("get_user_credits", { p_user_id: null });
// @ts-expect-error no such error
const slug: ErrorSlug = "insufficient_funds";
// @ts-expect-error no such key in the answer
(await supabase.rpc("get_user_credits", { p_user_id: slug })).data?.credits;
// @ts-expect-error a column that clients may not read
(await supabase.from("models").select("provider_model_id").single()).data?.provider_model_id.length;
// @ts-expect-error a column that clients may not write
await supabase.from("users").update({ credits_remaining: 1000 });

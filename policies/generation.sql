--! as caller
-- As the caller, because rendio_owner may not use Supabase's schema auth, which policies name.
--
-- A user sees its jobs, by column: leases and provider ids stay hidden, and Realtime honours it.
-- Deleted jobs are gone from here too. No client writes a job.
drop policy if exists video_jobs_select_own on public.video_jobs;
create policy video_jobs_select_own on public.video_jobs
for select to authenticated
using (user_id = (select auth.uid()) and deleted_at is null);

drop policy if exists video_jobs_select_service on public.video_jobs;
create policy video_jobs_select_service on public.video_jobs
for select to service_role
using (true);

grant select (
    user_id, job_id, model_id, prompt, settings, status, error_code, error_message, video_url,
    thumbnail_url, credits_used, credits_refunded, created_at, completed_at
) on public.video_jobs to authenticated;
grant select on public.video_jobs to service_role;

drop policy if exists provider_jobs_select_service on public.provider_jobs;
create policy provider_jobs_select_service on public.provider_jobs
for select to service_role
using (true);

grant select on public.provider_jobs to service_role;

drop policy if exists webhook_events_select_service on public.webhook_events;
create policy webhook_events_select_service on public.webhook_events
for select to service_role
using (true);

grant select on public.webhook_events to service_role;

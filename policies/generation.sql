--! as caller
-- As the caller, because rendio_owner may not use Supabase's schema auth, which policies name.
--
-- A user sees its jobs and those of guests merged into it, by column: leases and provider ids stay
-- hidden, and Realtime honours it. Deleted jobs are gone from here too. No client writes a job.
drop policy if exists video_jobs_select_own on public.video_jobs;
create policy video_jobs_select_own on public.video_jobs
for select to authenticated
using (
    deleted_at is null
    and (
        user_id = (select auth.uid())
        or user_id in (
            select u.id
            from public.users as u
            where u.merged_into = (select auth.uid())
        )
    )
);

drop policy if exists video_jobs_select_service on public.video_jobs;
create policy video_jobs_select_service on public.video_jobs
for select to service_role
using (true);

grant select (
    user_id, job_id, model_id, prompt, settings, status, error_code, error_message, video_url,
    thumbnail_url, credits_used, credits_refunded, created_at, completed_at
) on public.video_jobs to authenticated;
grant select on public.video_jobs to service_role;

drop policy if exists video_jobs_archive_select_service on public.video_jobs_archive;
create policy video_jobs_archive_select_service on public.video_jobs_archive
for select to service_role
using (true);

grant select on public.video_jobs_archive to service_role;

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

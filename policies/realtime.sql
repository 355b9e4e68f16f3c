--! as caller
-- Job transitions for Supabase Realtime, or for anything that reads logical replication.
-- Locks: SHARE UPDATE EXCLUSIVE on video_jobs.
do $$
begin
    if not exists (select from pg_catalog.pg_publication where pubname = 'supabase_realtime') then
        create publication supabase_realtime;
    end if;
    if not exists (
        select from pg_catalog.pg_publication_tables
        where pubname = 'supabase_realtime'
            and schemaname = 'public'
            and tablename = 'video_jobs'
    ) then
        alter publication supabase_realtime add table public.video_jobs;
    end if;
end;
$$;

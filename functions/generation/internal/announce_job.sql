-- The one place that tells the world of a job, called where its status changes and nowhere else.
-- Nothing is told before the transaction commits, and nothing when it does not.
-- Locks: NOTIFY takes one lock for the whole server at commit, so commits of transitions queue
-- behind each other; where that is felt, the setting turns it off.
--
-- A channel for each job: who listens is woken for that job alone, whichever account a guest was
-- merged into meanwhile. Anyone who can log in may listen, hence ids and a status and no more, on
-- a name that only those can guess who know the job's id.
-- A topic for each account: Realtime checks its reader once, when it is joined.
create or replace function rendio.announce_job(
    p_user_id uuid, p_job_id uuid, p_status rendio.job_status
)
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_way text := rendio.setting('job_notifications') #>> '{}';
    v_news jsonb := jsonb_build_object(
        'user_id', p_user_id, 'job_id', p_job_id, 'status', p_status
    );
begin
    if v_way in ('both', 'notify') then
        perform pg_notify('rendio_job_' || p_job_id, v_news::text);
    end if;
    if v_way in ('both', 'broadcast') and rendio.can_broadcast() then
        execute 'select realtime.send($1, $2, $3, true)'
        using v_news, 'job_status', 'jobs:' || coalesce(
            (select u.merged_into from public.users as u where u.id = p_user_id), p_user_id
        );
    end if;
end;
$$;

comment on function rendio.announce_job(uuid, uuid, rendio.job_status) is
$$Tell who watches a job its new status, as the setting job_notifications has it.

NOTIFY on the channel rendio_job_<job id>, and on Supabase a private broadcast, event job_status, on
the topic jobs:<user id>. Both carry {user_id, job_id, status}.$$;

revoke execute on function rendio.announce_job(uuid, uuid, rendio.job_status)
from public, anon, authenticated;

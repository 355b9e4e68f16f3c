-- Locks: job and user together, skipping what anybody else holds. It never waits, so it can meet
-- webhooks, generations and another sweep in any order; what it skips is swept by the next run.
-- The rows are collected before the first one is failed: a cursor would meet a user's row again
-- after this transaction changed it, and skip the user's other jobs.
create or replace function rendio.sweep_stuck_jobs(p_limit integer default 500)
returns bigint
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_now timestamptz := rendio.clock();
    v_job public.video_jobs;
    v_swept bigint := 0;
begin
    foreach v_job in array array(
        select j
        from public.video_jobs as j
        join public.users as u on u.id = j.user_id
        -- One arm for each status: each is one range of the index.
        where (j.status = 'pending' and j.times_out_at <= v_now)
            or (j.status = 'processing' and j.times_out_at <= v_now)
        order by j.times_out_at
        limit p_limit
        for no key update of j, u skip locked
    ) loop
        -- A merged guest's refund goes on to its account, whose row must be free too.
        continue when not rendio.try_lock_account(v_job.user_id);
        perform rendio.end_failed_job(
            v_job,
            'timed_out',
            case v_job.status
                when 'pending' then 'No worker started the job in time.'
                else 'The provider did not answer in time.'
            end,
            v_now
        );
        v_swept := v_swept + 1;
    end loop;
    return v_swept;
end;
$$;

comment on function rendio.sweep_stuck_jobs(integer) is
$$Fail and refund up to p_limit jobs whose time is over; returns how many. Run by cron.

Over means: 15 minutes after creation for a job that nobody started, the model's timeout after the
start for one whose provider never answered.$$;

revoke execute on function rendio.sweep_stuck_jobs(integer) from public, anon, authenticated;

-- Locks: the job's row, then the user's.
create or replace function public.cancel_video_job(p_user_id uuid, p_job_id uuid)
returns jsonb
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_job public.video_jobs;
    v_replayed boolean;
begin
    perform rendio.require_user(p_user_id);
    v_job := rendio.lock_job(p_user_id, p_job_id);
    v_replayed := v_job.status = 'failed' and v_job.error_code = 'cancelled';

    if not v_replayed then
        -- Once a worker has had it, the provider may be working and billing.
        if v_job.status <> 'pending' or v_job.attempt > 0 then
            perform rendio.raise_invalid_transition(
                v_job, 'A job can be cancelled only before a worker takes it.'
            );
        end if;
        perform rendio.end_failed_job(v_job, 'cancelled', null, rendio.clock());
    end if;

    return jsonb_build_object(
        'job_id', p_job_id,
        'status', 'failed',
        'credits_refunded', v_job.credits_used,
        'replayed', v_replayed
    );
end;
$$;

comment on function public.cancel_video_job(uuid, uuid) is
$$Cancel a job that no worker has taken yet, and give its credits back.

The status becomes failed, the job's error_code cancelled.
Safe to repeat: a cancelled job answers the same with replayed true.

@returns {job_id: uuid, status: text, credits_refunded: integer, replayed: boolean}
@raises PT400 invalid_argument
@raises PT401 not_authenticated
@raises PT403 not_your_account
@raises PT404 job_not_found
@raises PT409 invalid_transition$$;

revoke execute on function public.cancel_video_job(uuid, uuid) from public, anon, authenticated;
grant execute on function public.cancel_video_job(uuid, uuid) to authenticated, service_role;

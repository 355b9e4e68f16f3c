-- One plan for everybody: made anew it would look up the ends of a large index each time.
create or replace function public.get_video_jobs(
    p_user_id uuid,
    p_before uuid default null,
    p_limit integer default 20
)
returns jsonb
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
as $$
declare
    v_jobs jsonb;
    v_count integer;
begin
    perform rendio.require_user(p_user_id);
    perform rendio.check_page(p_limit);

    -- One more than the page tells whether there is a next one.
    select
        coalesce(
            jsonb_agg(rendio.job_json(page.job, page.model_name) order by page.n)
            filter (where page.n <= p_limit),
            '[]'
        ),
        count(*)
    into v_jobs, v_count
    from (
        select
            j::public.video_jobs as job,
            m.name as model_name,
            row_number() over (order by j.job_id desc) as n
        from rendio.people_of(p_user_id) as person
        cross join lateral (
            (
                select *
                from public.video_jobs as v
                where v.user_id = person
                    and v.job_id < coalesce(p_before, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
                    and v.deleted_at is null
                order by v.job_id desc
                limit p_limit + 1
            )
            union all
            (
                select *
                from public.video_jobs_archive as v
                where v.user_id = person
                    and v.job_id < coalesce(p_before, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
                    and v.deleted_at is null
                order by v.job_id desc
                limit p_limit + 1
            )
        ) as j
        left join public.models as m on m.id = j.model_id
        order by j.job_id desc
        limit p_limit + 1
    ) as page;

    return jsonb_build_object(
        'jobs', v_jobs,
        'next_before', case when v_count > p_limit then v_jobs -> (p_limit - 1) -> 'job_id' end
    );
end;
$$;

comment on function public.get_video_jobs(uuid, uuid, integer) is
$$A page of a user's jobs, newest first, without deleted ones.

For the next page pass next_before back as p_before; it is null on the last page.

p_limit: 1 to 100.

@returns {jobs: [job], next_before: uuid?}
@raises PT400 invalid_argument
@raises PT401 not_authenticated
@raises PT403 not_your_account$$;

revoke execute on function public.get_video_jobs(uuid, uuid, integer)
from public, anon, authenticated;
grant execute on function public.get_video_jobs(uuid, uuid, integer) to authenticated, service_role;

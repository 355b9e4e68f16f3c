-- The schema that the plans ask for ("Option B" with the additions of phases 5 and 6), as they
-- ask for it: the same names, types, defaults, constraints, indexes, policies and behaviour, its
-- holes included. Nothing here is an example to follow and nothing of it is ever installed.
--
-- Three things use it: the tests of known defects show each attack to succeed here before they
-- show it to fail on ours, the benchmark measures our call beside this one, and the takeover
-- starts from a live database of this shape.
--
-- Loads into an empty database that has what a Supabase project has: the roles anon,
-- authenticated and service_role, auth.uid(), and the publication supabase_realtime
-- (tests/profiles/api_roles.sql, auth.sql and realtime.sql). Run it as the role that will own
-- the tables.

-- Tables -------------------------------------------------------------------------------------

create table public.users (
    id uuid primary key default gen_random_uuid(),
    email text,
    device_id text unique,
    apple_sub text unique,
    is_guest boolean default true,
    tier text default 'free' check (tier in ('free', 'premium')),
    credits_remaining integer default 0,
    credits_total integer default 0,
    initial_grant_claimed boolean default false,
    language text default 'en',
    theme_preference text default 'system',
    created_at timestamptz default now(),
    updated_at timestamptz default now(),
    constraint users_identity_check check ((email is not null) or (device_id is not null))
);

create index idx_users_device_id on public.users(device_id);
create index idx_users_apple_sub on public.users(apple_sub);

create table public.models (
    id uuid primary key default gen_random_uuid(),
    name text not null,
    category text not null,
    description text,
    cost_per_generation integer not null default 4,
    provider text not null,
    provider_model_id text,
    is_featured boolean default false,
    is_available boolean default true,
    thumbnail_url text,
    created_at timestamptz default now()
);

create index idx_models_provider on public.models(provider);
create index idx_models_featured on public.models(is_featured) where is_featured = true;

create table public.video_jobs (
    job_id uuid primary key default gen_random_uuid(),
    user_id uuid not null references public.users(id) on delete cascade,
    model_id uuid not null references public.models(id),
    prompt text not null,
    settings jsonb default '{}',
    status text default 'pending'
    check (status in ('pending', 'processing', 'completed', 'failed')),
    video_url text,
    thumbnail_url text,
    credits_used integer not null,
    error_message text,
    provider_job_id text,
    created_at timestamptz default now(),
    completed_at timestamptz
);

create index idx_video_jobs_user on public.video_jobs(user_id, created_at desc);
create index idx_video_jobs_status on public.video_jobs(status);
create index idx_video_jobs_provider on public.video_jobs(provider_job_id);

create table public.quota_log (
    id uuid primary key default gen_random_uuid(),
    user_id uuid not null references public.users(id) on delete cascade,
    job_id uuid references public.video_jobs(job_id) on delete set null,
    change integer not null,
    reason text not null,
    transaction_id text unique,
    balance_after integer,
    created_at timestamptz default now()
);

create index idx_quota_log_user on public.quota_log(user_id, created_at desc);
create index idx_quota_log_transaction on public.quota_log(transaction_id);

create table public.idempotency_log (
    idempotency_key uuid primary key,
    user_id uuid references public.users(id) on delete cascade,
    job_id uuid references public.video_jobs(job_id) on delete set null,
    operation_type text not null,
    response_data jsonb,
    status_code integer,
    created_at timestamptz default now(),
    expires_at timestamptz default now() + interval '24 hours'
);

create index idx_idempotency_user on public.idempotency_log(user_id, created_at);
create index idx_idempotency_expires on public.idempotency_log(expires_at);

-- The plans' "soft deletes".
alter table public.video_jobs add column deleted_at timestamptz;
create index idx_video_jobs_deleted on public.video_jobs(deleted_at) where deleted_at is null;

-- Row level security: four of the five tables. ------------------------------------------------

alter table public.users enable row level security;

create policy "Users can view own profile" on public.users
for select using (auth.uid() = id);

create policy "Users can update own profile" on public.users
for update using (auth.uid() = id);

alter table public.video_jobs enable row level security;

create policy "Users can view own jobs" on public.video_jobs
for select using (auth.uid() = user_id);

create policy "Users can insert own jobs" on public.video_jobs
for insert with check (auth.uid() = user_id);

alter table public.quota_log enable row level security;

create policy "Users can view own transactions" on public.quota_log
for select using (auth.uid() = user_id);

alter table public.models enable row level security;

create policy "Anyone can view available models" on public.models
for select using (is_available = true);

-- Phase 5: realtime, clean-up, the atomic call. -----------------------------------------------

alter publication supabase_realtime add table public.video_jobs;

create policy "Users can subscribe to own jobs" on public.video_jobs
for select using (auth.uid() = user_id);

-- Only where pg_cron is there: the plans create the extension by hand, in the dashboard.
do $$
begin
    if to_regnamespace('cron') is not null then
        perform cron.schedule(
            'cleanup-idempotency-log',
            '0 2 * * *',
            'delete from idempotency_log where expires_at < now()'
        );
    end if;
end
$$;

-- No search_path and no qualified name in the body, on purpose: that is one of the holes.
create or replace function public.generate_video_atomic(
    p_user_id uuid,
    p_model_id uuid,
    p_prompt text,
    p_settings jsonb,
    p_idempotency_key uuid
)
returns jsonb
language plpgsql
security definer
as $$
declare
    v_job_id uuid;
    v_credits_used int;
    v_credits_remaining int;
begin
    perform 1
    from idempotency_log
    where idempotency_key = p_idempotency_key
        and expires_at > now();

    if found then
        return (
            select response_data
            from idempotency_log
            where idempotency_key = p_idempotency_key
        );
    end if;

    select cost_per_generation into v_credits_used
    from models
    where id = p_model_id;

    if v_credits_used is null then
        raise exception 'Model not found';
    end if;

    select credits_remaining into v_credits_remaining
    from users
    where id = p_user_id
    for update;

    if v_credits_remaining is null then
        raise exception 'User not found';
    end if;

    if v_credits_remaining < v_credits_used then
        raise exception 'Insufficient credits';
    end if;

    update users
    set
        credits_remaining = credits_remaining - v_credits_used,
        updated_at = now()
    where id = p_user_id;

    insert into quota_log (user_id, change, reason, balance_after)
    values (
        p_user_id,
        -v_credits_used,
        'video_generation',
        v_credits_remaining - v_credits_used
    );

    insert into video_jobs (user_id, model_id, prompt, settings, credits_used, status)
    values (p_user_id, p_model_id, p_prompt, p_settings, v_credits_used, 'pending')
    returning job_id into v_job_id;

    insert into idempotency_log (
        idempotency_key, user_id, job_id, operation_type, response_data, status_code
    )
    values (
        p_idempotency_key,
        p_user_id,
        v_job_id,
        'video_generation',
        jsonb_build_object(
            'job_id', v_job_id,
            'status', 'pending',
            'credits_used', v_credits_used
        ),
        200
    );

    return jsonb_build_object(
        'job_id', v_job_id,
        'status', 'pending',
        'credits_used', v_credits_used
    );
exception
    when others then
        raise;
end
$$;

-- Phase 6: more indexes. The plans build them concurrently; the result is the same. -----------

create index idx_video_jobs_provider_job_id on public.video_jobs(provider_job_id)
where provider_job_id is not null;

create index idx_quota_log_user_created on public.quota_log(user_id, created_at desc);

create index idx_idempotency_user_key on public.idempotency_log(user_id, idempotency_key);

create index idx_video_jobs_active on public.video_jobs(user_id, status, created_at desc)
where status in ('pending', 'processing');

-- What a Supabase project gives to its API roles unasked: everything. -------------------------

grant usage on schema public to anon, authenticated, service_role;
grant all on all tables in schema public to anon, authenticated, service_role;
grant all on all functions in schema public to anon, authenticated, service_role;

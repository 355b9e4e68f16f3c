-- The floor: the four rows of a generation (claim, balance, job, ledger) written by one plpgsql
-- function into tables with the same columns and nothing but primary keys. It checks no caller, no
-- argument, no price, no repeat; no access rule, constraint, partition or foreign key guards it.
-- What stands between this and rendio is the price of being right.
create schema floor;

create type floor.job_status as enum ('pending');
create type floor.ledger_reason as enum ('video_generation');

create table floor.users (
    id uuid primary key,
    credits_remaining bigint not null,
    credits_total bigint not null default 0,
    ledger_seq bigint not null default 0,
    lots_seq bigint not null default 0,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    ledger_at timestamptz not null default now(),
    next_expiry_at timestamptz not null default 'infinity',
    merged_into uuid,
    deleted_at timestamptz,
    is_guest boolean not null default true,
    is_blocked boolean not null default false,
    tier text not null default 'free',
    language text not null default 'en',
    theme_preference text not null default 'system'
)
with (fillfactor = 70);

create table floor.claims (
    user_id uuid,
    idempotency_key uuid,
    job_id uuid,
    created_at timestamptz not null,
    expires_at timestamptz not null,
    status_code integer not null default 200,
    operation_type text not null,
    request_hash bytea not null,
    response_data jsonb not null,
    primary key (user_id, idempotency_key)
);

create table floor.jobs (
    user_id uuid,
    job_id uuid,
    model_id uuid not null,
    created_at timestamptz not null,
    times_out_at timestamptz not null,
    lease_expires_at timestamptz,
    started_at timestamptz,
    completed_at timestamptz,
    deleted_at timestamptz,
    credits_used integer not null,
    credits_refunded integer not null default 0,
    attempt integer not null default 0,
    status floor.job_status not null default 'pending',
    provider text not null,
    prompt text not null,
    settings jsonb not null default '{}',
    provider_job_id text,
    lease_owner text,
    video_url text,
    thumbnail_url text,
    error_code text,
    error_message text,
    primary key (user_id, job_id)
);

create table floor.ledger (
    user_id uuid,
    seq bigint,
    created_at timestamptz,
    balance_after bigint not null,
    change bigint not null,
    id uuid not null default gen_random_uuid(),
    job_id uuid,
    lot_seq bigint,
    lot_n smallint,
    is_sandbox boolean not null default false,
    reason floor.ledger_reason not null,
    primary key (user_id, created_at, seq)
);

create function floor.generate_video(
    p_user_id uuid,
    p_model_id uuid,
    p_prompt text,
    p_settings jsonb,
    p_idempotency_key uuid
)
returns jsonb
language plpgsql
volatile
as $$
declare
    v_now timestamptz := clock_timestamp();
    v_job_id uuid := gen_random_uuid();
    v_response jsonb := jsonb_build_object(
        'job_id', v_job_id, 'status', 'pending', 'credits_used', 4
    );
    v_balance bigint;
    v_seq bigint;
begin
    insert into floor.claims (
        user_id, idempotency_key, job_id, created_at, expires_at, operation_type, request_hash,
        response_data
    )
    values (
        p_user_id, p_idempotency_key, v_job_id, v_now, v_now + interval '24 hours',
        'generate_video_atomic', substring(sha256(convert_to(p_prompt, 'UTF8')) for 16),
        v_response - 'job_id'
    );
    update floor.users as u
    set credits_remaining = u.credits_remaining - 4,
        ledger_seq = u.ledger_seq + 1,
        ledger_at = v_now,
        updated_at = v_now
    where u.id = p_user_id
    returning u.credits_remaining, u.ledger_seq into v_balance, v_seq;
    insert into floor.ledger (
        user_id, seq, created_at, balance_after, change, id, job_id, reason
    )
    values (p_user_id, v_seq, v_now, v_balance, -4, v_job_id, v_job_id, 'video_generation');
    insert into floor.jobs (
        user_id, job_id, model_id, created_at, times_out_at, credits_used, provider, prompt,
        settings
    )
    values (
        p_user_id, v_job_id, p_model_id, v_now, v_now + interval '15 minutes', 4, 'fal',
        p_prompt, p_settings
    );
    return v_response;
end;
$$;

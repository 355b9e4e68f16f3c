-- Settings, the idempotency log, and the types that checks answer with.
--
-- Locks: none on existing tables. Duration: milliseconds.

create table public.app_settings (
    key text primary key
        constraint app_settings_key_check check (key ~ '^[a-z][a-z0-9_]{0,62}$'),
    value jsonb not null,
    description text not null default '',
    -- A mistyped setting fails here, in the operator's hands, and not in a user's call.
    constraint app_settings_credits_check check (
        key not in ('initial_grant', 'sandbox_credit_cap')
        or case
            when jsonb_typeof(value) = 'number'
                then (value #>> '{}')::numeric between 0 and 1000000
                    and (value #>> '{}')::numeric % 1 = 0
            else false
        end
    ),
    constraint app_settings_sandbox_purchases_check check (
        key <> 'sandbox_purchases' or value in ('"off"', '"listed"', '"capped"')
    ),
    constraint app_settings_rate_limits_check check (
        key <> 'rate_limits'
        or jsonb_typeof(value) = 'boolean'
        or jsonb_typeof(value) = 'object'
        and not jsonb_path_exists(value, '$.* ? (@.type() <> "boolean")')
    ),
    constraint app_settings_client_address_header_check check (
        key <> 'client_address_header' or value #>> '{}' ~ '^[a-z0-9-]{1,64}$'
    ),
    constraint app_settings_refund_shortfall_check check (
        key <> 'refund_shortfall' or value in ('"forgive"', '"debt"', '"block"')
    ),
    constraint app_settings_job_notifications_check check (
        key <> 'job_notifications' or value in ('"both"', '"notify"', '"broadcast"', '"off"')
    ),
    constraint app_settings_sandbox_testers_check check (
        key <> 'sandbox_testers' or jsonb_typeof(value) = 'array'
    )
);

alter table public.app_settings enable row level security;

comment on table public.app_settings is
$$What an operator may change without a release. Read by rendio.setting(key).$$;
comment on column public.app_settings.key is 'Name of the setting.';
comment on column public.app_settings.value is 'Its value, as JSON.';
comment on column public.app_settings.description is 'What it does, its unit and its bounds.';

insert into public.app_settings (key, value, description) values
(
    'rate_limits', 'true',
    'Whether calls are counted by rate_limit_rules: true or false for all, or an object such as '
    '{"generate": false} that switches single rules off.'
),
(
    'client_address_header', '"x-forwarded-for"',
    'Which request header, in small letters, says where a client without a user calls from; its '
    'last address counts. It must be one that your proxy writes, whatever the client sent: '
    '"cf-connecting-ip" on Supabase.'
),
('initial_grant', '10', 'Credits for a new account, once per device; 0 gives none.'),
(
    'sandbox_purchases', '"capped"',
    'Credits for purchases in a store''s sandbox: "off", "listed" (sandbox_testers only) or '
    '"capped" (up to sandbox_credit_cap for each user). App Review buys in the sandbox.'
),
('sandbox_credit_cap', '100', 'Credits that one user can get from sandbox purchases in all.'),
('sandbox_testers', '[]', 'User ids that sandbox purchases are granted to when "listed".'),
(
    'refund_shortfall', '"debt"',
    'What becomes of refunded credits that were spent already: "forgive" nothing, "debt" the next '
    'paid credits repay them, "block" likewise, and until then nothing can be spent. Refunds in a '
    'store''s sandbox are forgiven.'
),
(
    'job_notifications', '"both"',
    'How a job''s change of status is told: "notify" (NOTIFY), "broadcast" (Supabase Realtime, '
    'where it exists), "both" or "off". NOTIFY makes commits of such changes wait for each other, '
    'server-wide, and cannot be part of a two-phase commit.'
);

-- A claim: the primary key decides every race. No foreign keys (a reference to users would lock
-- the hot user's row in share mode once more on every call) and no index on expires_at: an
-- index there would cost every generation, and the clean-up's scan of a table that stays under
-- 50,000 rows costs milliseconds an hour.
create table public.idempotency_log (
    user_id uuid not null,
    idempotency_key uuid not null,
    job_id uuid,
    created_at timestamptz not null,
    expires_at timestamptz not null,
    status_code integer not null default 200,
    operation_type text not null,
    request_hash bytea not null,
    response_data jsonb not null,
    primary key (user_id, idempotency_key)
)
with (
    autovacuum_vacuum_scale_factor = 0.05,
    autovacuum_vacuum_insert_scale_factor = 0.5
);

alter table public.idempotency_log enable row level security;

comment on table public.idempotency_log is
$$One row per client key for 24 hours: the claim, and the response that a repeated call gets.$$;
comment on column public.idempotency_log.user_id is 'Whose key; two users may use the same.';
comment on column public.idempotency_log.idempotency_key is 'Chosen by the client for one action.';
comment on column public.idempotency_log.job_id is 'The job that the call made, if it made one.';
comment on column public.idempotency_log.created_at is 'When the key was first used.';
comment on column public.idempotency_log.expires_at is 'When the key is new again: 24 hours later.';
comment on column public.idempotency_log.status_code is 'HTTP status of the response: 200.';
comment on column public.idempotency_log.operation_type is 'The function that was called.';
comment on column public.idempotency_log.request_hash is
    'First half of a SHA-256 over the function''s name and all arguments but the key.';
comment on column public.idempotency_log.response_data is
    'The first response; its job_id is the column of that name.';

create table public.rate_limit_rules (
    endpoint text primary key
        constraint rate_limit_rules_endpoint_check check (endpoint ~ '^[a-z][a-z0-9_]{0,62}$'),
    requests integer not null
        constraint rate_limit_rules_requests_check check (requests between 1 and 1000000),
    period interval not null default '1 minute'
        constraint rate_limit_rules_period_check
        check (period between interval '1 second' and interval '1 day')
);

alter table public.rate_limit_rules enable row level security;

comment on table public.rate_limit_rules is
$$How often an endpoint may be called, by each user or address. An endpoint without a rule is
counted as general; without that one, it has no limit.$$;
comment on column public.rate_limit_rules.endpoint is
    'Name of the endpoint, or of a group of them.';
comment on column public.rate_limit_rules.requests is
    'Calls in each period; as many may come at once after a pause.';
comment on column public.rate_limit_rules.period is 'One second to one day.';

insert into public.rate_limit_rules (endpoint, requests) values
('generate', 10), ('analysis', 100), ('general', 200), ('uploads', 20);

-- Unlogged: a crash forgets who called how often, and a count costs no WAL. A claim table: counted
-- by whoever calls, user or not, so without foreign keys.
create unlogged table public.rate_limits (
    subject text not null,
    endpoint text not null,
    full_at timestamptz not null,
    primary key (subject, endpoint)
)
with (
    fillfactor = 70,
    autovacuum_vacuum_scale_factor = 0.05
);

alter table public.rate_limits enable row level security;

comment on table public.rate_limits is
$$Who called how often, by the generic cell rate algorithm: one time for each subject and
endpoint.$$;
comment on column public.rate_limits.subject is
    'user: and the user''s id, or subject: and the device or address.';
comment on column public.rate_limits.endpoint is 'The rule that counts.';
comment on column public.rate_limits.full_at is
    'When the whole allowance is there again, if no call comes: the algorithm''s theoretical arrival
time.';

create type rendio.discrepancy as (
    user_id uuid,
    problem text,
    expected bigint,
    actual bigint
);

comment on type rendio.discrepancy is
$$One place where the books do not agree; what reconcile_credits() returns.$$;

create type rendio.health_check as (
    name text,
    ok boolean,
    detail text
);

comment on type rendio.health_check is $$One check of rendio.health().$$;

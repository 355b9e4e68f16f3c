-- The ledger (partitioned by month) and the lots.
--
-- Locks: none on existing tables. Duration: milliseconds.

create table rendio.partition_policies (
    parent text primary key,
    step interval not null
        constraint partition_policies_step_check
        check (step in (interval '1 month', interval '1 day')),
    ahead integer not null
        constraint partition_policies_ahead_check check (ahead between 1 and 100)
);

alter table rendio.partition_policies enable row level security;

comment on table rendio.partition_policies is
$$Which tables rendio.ensure_partitions() extends, by what step (UTC) and how far ahead.
Partitions are never dropped: the ledger is kept for ever.$$;

-- Enums, not checks: another value is added without reading the ledger of years, and a row needs no
-- check.
create type rendio.ledger_reason as enum (
    'initial_grant', 'video_generation', 'generation_failed_refund', 'partial_refund',
    'iap_purchase', 'iap_refund', 'iap_refund_reversed', 'credit_expired',
    'guest_merge_out', 'guest_merge_in', 'promo_grant', 'admin_adjustment'
);

create domain rendio.credit_change as bigint
constraint credit_change_check check (value <> 0);

comment on type rendio.ledger_reason is 'Why a balance changed.';
comment on domain rendio.credit_change is 'Credits given (positive) or taken (negative).';

-- The truth about credits. No foreign keys: each monthly ATTACH would then stop every writer of
-- users; reconcile_credits() holds the references.
create table public.quota_log (
    user_id uuid not null,
    seq bigint not null,
    created_at timestamptz not null,
    balance_after rendio.balance not null,
    change rendio.credit_change not null,
    id uuid not null default gen_random_uuid(),
    job_id uuid,
    lot_seq bigint,
    lot_n smallint,
    is_sandbox boolean not null default false,
    reason rendio.ledger_reason not null,
    primary key (user_id, created_at, seq)
)
partition by range (created_at);

alter table public.quota_log enable row level security;
-- Append-only, for the owner too; truncate included.
revoke update, delete, truncate on public.quota_log from rendio_owner;

comment on table public.quota_log is
$$The ledger: every change of every balance, append-only, gapless per user.

Partitioned by month, UTC. The balance at a time is balance_after of the last entry at or before
it.$$;
comment on column public.quota_log.user_id is 'Whose credits.';
comment on column public.quota_log.seq is
    'Number of the entry in this user''s ledger, from 1 without gaps.';
comment on column public.quota_log.created_at is
    'When, by a clock that never runs against seq.';
comment on column public.quota_log.balance_after is 'The balance after this entry.';
comment on column public.quota_log.id is
    'A name for the entry that is unique by itself; a charge has its job''s.';
comment on column public.quota_log.job_id is 'The job that the credits were for.';
comment on column public.quota_log.lot_seq is
    'The lot that an expiry or a clawback took from, with lot_n; null for all else.';
comment on column public.quota_log.lot_n is 'Its number within lot_seq.';
comment on column public.quota_log.change is 'Credits: positive given, negative taken.';
comment on column public.quota_log.is_sandbox is
    'From a purchase in a store''s sandbox: never revenue.';
comment on column public.quota_log.reason is 'Why the balance changed.';

-- Catches what a missed run of ensure_partitions() would otherwise turn away: a sale.
create table rendio.quota_log_default partition of public.quota_log default;

alter table rendio.quota_log_default enable row level security;
revoke update, delete, truncate on rendio.quota_log_default from rendio_owner;

comment on table rendio.quota_log_default is
$$Entries of months without a partition. Empty while ensure_partitions() runs.$$;

insert into rendio.partition_policies (parent, step, ahead)
values ('public.quota_log', interval '1 month', 3);

create table public.credit_grants (
    user_id uuid not null references public.users (id) on delete restrict,
    seq bigint not null,
    n smallint not null default 1,
    priority smallint not null,
    kind text not null
        constraint credit_grants_kind_check check (kind in ('paid', 'promotional')),
    is_sandbox boolean not null default false,
    amount bigint not null
        constraint credit_grants_amount_check check (amount > 0),
    remaining bigint not null,
    expires_at timestamptz not null default 'infinity',
    created_at timestamptz not null,
    origin uuid not null default gen_random_uuid(),
    primary key (user_id, seq, n),
    constraint credit_grants_remaining_check check (remaining between 0 and amount)
);

alter table public.credit_grants enable row level security;

comment on table public.credit_grants is
$$Lots: what every grant brought, and what a refund brought back after its lot had expired.

remaining is settled lazily, by rendio.fold_lots(): it accounts for the entries up to
users.lots_seq. Kind, priority, expiry and source of a lot never change.$$;
comment on column public.credit_grants.user_id is 'Whose credits.';
comment on column public.credit_grants.seq is 'The ledger entry that brought them.';
comment on column public.credit_grants.n is 'Number of the lot within that entry.';
comment on column public.credit_grants.priority is 'Lower is spent first.';
comment on column public.credit_grants.kind is 'paid or promotional; promotional is spent first.';
comment on column public.credit_grants.is_sandbox is 'Bought in a store''s sandbox: never revenue.';
comment on column public.credit_grants.amount is 'Credits in the lot at first.';
comment on column public.credit_grants.remaining is 'Credits left, as of users.lots_seq.';
comment on column public.credit_grants.expires_at is 'When what is left is lost; infinity: never.';
comment on column public.credit_grants.created_at is 'When the credits came.';
comment on column public.credit_grants.origin is
    'The ledger entry (quota_log.id) that first brought the credits, whatever has moved them since:
a refund, a merge.';

create table public.credit_draws (
    user_id uuid not null,
    job_id uuid not null,
    n smallint not null,
    lot_seq bigint not null,
    lot_n smallint not null,
    credits bigint not null
        constraint credit_draws_credits_check check (credits > 0),
    primary key (user_id, job_id, n)
);

alter table public.credit_draws enable row level security;

comment on table public.credit_draws is
$$Which lots the charge of a job that is still open came from, as of users.lots_seq: its refund goes
back there. Written by rendio.fold_lots() alone.$$;
comment on column public.credit_draws.user_id is 'Whose credits.';
comment on column public.credit_draws.job_id is 'The open job.';
comment on column public.credit_draws.n is 'In the order in which they were drawn, from 1.';
comment on column public.credit_draws.lot_seq is
    'The lot, with lot_n. No foreign key: only the fold, which has read the lot, writes here.';
comment on column public.credit_draws.lot_n is 'Its number within lot_seq.';
comment on column public.credit_draws.credits is 'What of the lot the job holds.';

create type rendio.lot_state as (
    lots public.credit_grants [],
    draws public.credit_draws []
);

comment on type rendio.lot_state is
    'Lots that matter still and the draws of jobs, as of one entry of a user''s ledger.';

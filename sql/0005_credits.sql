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

create domain rendio.ledger_reason as text
constraint ledger_reason_check check (
    value in (
        'initial_grant', 'video_generation', 'generation_failed_refund', 'partial_refund',
        'iap_purchase', 'iap_refund', 'iap_refund_reversed', 'credit_expired',
        'guest_merge_out', 'guest_merge_in', 'promo_grant', 'admin_adjustment'
    )
);

create domain rendio.credit_change as bigint
constraint credit_change_check check (value <> 0);

comment on domain rendio.ledger_reason is 'Why a balance changed.';
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
    voided_at timestamptz,
    primary key (user_id, seq, n),
    constraint credit_grants_remaining_check check (remaining between 0 and amount)
);

alter table public.credit_grants enable row level security;

comment on table public.credit_grants is
$$Lots: one row for every ledger entry that brought credits and is no refund.

remaining is settled lazily: it accounts for the entries up to users.lots_seq.$$;
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
comment on column public.credit_grants.voided_at is 'When the purchase was taken back, if it was.';

-- Accounts and the identities that claim them.
--
-- Locks: none on existing tables. Duration: milliseconds.

-- Domains, not table checks, wherever a check concerns one column of a hot table: a table check is
-- parsed anew by every statement that writes the table (a list of words is the dearest), and an
-- update pays for all of them; a domain is parsed once per session and costs only the statements
-- that assign the column. With table checks alone a generation took half as long again.
create domain rendio.balance as bigint
constraint balance_check check (value >= 0);
create domain rendio.user_tier as text
constraint user_tier_check check (value in ('free', 'premium'));
create domain rendio.language_tag as text
constraint language_tag_check check (value ~ '^[a-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}$');
create domain rendio.theme as text
constraint theme_check check (value in ('light', 'dark', 'system'));

comment on domain rendio.balance is 'Credits, never below zero.';
comment on domain rendio.user_tier is 'free or premium.';
comment on domain rendio.language_tag is 'A BCP 47 language tag, such as en or pt-BR.';
comment on domain rendio.theme is 'light, dark or system.';

-- Hot and narrow: every debit rewrites this row, and logical WAL carries all of it. What a debit
-- changes is never indexed, so that debits stay heap-only.
create table public.users (
    id uuid primary key default gen_random_uuid(),
    credits_remaining rendio.balance not null default 0,
    credits_total bigint not null default 0,
    ledger_seq bigint not null default 0,
    lots_seq bigint not null default 0,
    created_at timestamptz not null default rendio.clock(),
    updated_at timestamptz not null default rendio.clock(),
    -- Starts at the account's birth, so that no entry is older than its account.
    ledger_at timestamptz not null default rendio.clock(),
    next_expiry_at timestamptz not null default 'infinity',
    merged_into uuid,
    deleted_at timestamptz,
    is_guest boolean not null default true,
    is_blocked boolean not null default false,
    tier rendio.user_tier not null default 'free',
    language rendio.language_tag not null default 'en',
    theme_preference rendio.theme not null default 'system'
)
with (
    fillfactor = 70,
    autovacuum_vacuum_scale_factor = 0.02,
    autovacuum_analyze_scale_factor = 0.05
);

-- One index for both questions, an account's guests and the expiries that are due: a debit opens
-- every index of the table, also those that it does not write.
create index users_merged_into_next_expiry_at_idx on public.users (merged_into, next_expiry_at)
where merged_into is not null or next_expiry_at < 'infinity';

alter table public.users enable row level security;

comment on table public.users is
$$Accounts, guests included, each with the running total of its ledger.

The truth about credits is quota_log; reconcile_credits() proves that both agree.$$;
comment on column public.users.id is
    'The id that the auth service gave the user; no foreign key, so that deleting a login never
deletes a ledger.';
comment on column public.users.credits_remaining is 'Credits that can be spent now.';
comment on column public.users.credits_total is
    'Credits ever granted or bought; spending and refunds do not change it.';
comment on column public.users.ledger_seq is 'Number of the last ledger entry; gapless from 1.';
comment on column public.users.ledger_at is 'Time of the last ledger entry; never runs backwards.';
comment on column public.users.lots_seq is 'Last ledger entry that the lots have accounted for.';
comment on column public.users.next_expiry_at is
    'Lower bound of the next expiry of credits; infinity when nothing expires.';
comment on column public.users.merged_into is
    'The account that took over this guest. No foreign key: the two may live on different shards.';
comment on column public.users.deleted_at is
    'When the account was deleted; the row stays, because its ledger does.';
comment on column public.users.is_guest is 'True until an identity provider vouches for the user.';
comment on column public.users.is_blocked is
    'True while the user owes credits of a refunded purchase and may spend none (see
purchase_revocations).';
comment on column public.users.tier is 'free or premium.';
comment on column public.users.language is 'BCP 47 tag of the app''s language: en, pt-BR.';
comment on column public.users.theme_preference is 'light, dark or system.';
comment on column public.users.created_at is 'When the account was created.';
comment on column public.users.updated_at is
    'Last change by a function; a client changing its preferences does not move it.';

-- A claim table: unique across users, so keyed by the thing claimed alone, and without foreign
-- keys, because user and claim may live on different shards.
create table public.account_identities (
    kind text not null
        constraint account_identities_kind_check
        check (kind in ('device', 'apple', 'device_digest', 'apple_digest')),
    identifier text not null
        constraint account_identities_identifier_check
        check (length(identifier) between 1 and 255),
    user_id uuid not null,
    email text
        constraint account_identities_email_check check (length(email) between 3 and 320),
    initial_grant_claimed boolean not null default false,
    created_at timestamptz not null default rendio.clock(),
    primary key (kind, identifier)
);

create index account_identities_user_id_idx on public.account_identities (user_id);

alter table public.account_identities enable row level security;

comment on table public.account_identities is
$$Devices and Apple accounts, each claimed by one user. The initial grant is claimed here: once
per device and once per Apple account, for ever, whatever happens to the user.$$;
comment on column public.account_identities.kind is
    'device or apple; device_digest or apple_digest of a deleted account.';
comment on column public.account_identities.identifier is
    'The device id, or the subject of the Apple id token; of a deleted account its digest (see
rendio.forgotten).';
comment on column public.account_identities.user_id is
    'Whose it is. No foreign key: a claim outlives the user.';
comment on column public.account_identities.email is 'As the provider gave it; not unique.';
comment on column public.account_identities.initial_grant_claimed is
    'Whether the initial credits were given for this identity.';
comment on column public.account_identities.created_at is 'When it was claimed first.';

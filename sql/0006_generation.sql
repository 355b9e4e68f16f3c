-- Generation jobs, what was submitted to providers, and the webhooks they sent.
--
-- Locks: none on existing tables. Duration: milliseconds.

create type rendio.job_status as enum ('pending', 'processing', 'completed', 'failed');
create domain rendio.job_price as integer
constraint job_price_check check (value > 0);
create domain rendio.job_refund as integer
constraint job_refund_check check (value >= 0);

comment on type rendio.job_status is 'pending, processing, completed or failed.';
comment on domain rendio.job_price is 'Credits, more than none.';
comment on domain rendio.job_refund is 'Credits, not negative.';

create table public.video_jobs (
    user_id uuid not null references public.users (id) on delete restrict,
    job_id uuid not null,
    model_id uuid not null,
    created_at timestamptz not null,
    times_out_at timestamptz not null,
    lease_expires_at timestamptz,
    started_at timestamptz,
    completed_at timestamptz,
    deleted_at timestamptz,
    credits_used rendio.job_price not null,
    credits_refunded rendio.job_refund not null default 0,
    attempt integer not null default 0,
    status rendio.job_status not null default 'pending',
    provider text not null,
    prompt text not null,
    settings jsonb not null default '{}',
    provider_job_id text,
    lease_owner text,
    video_url text,
    thumbnail_url text,
    error_code text,
    error_message text,
    primary key (user_id, job_id),
    constraint video_jobs_credits_check check (credits_refunded <= credits_used)
)
with (
    fillfactor = 85,
    autovacuum_vacuum_scale_factor = 0.05
);

-- The one index beside the key, so that a generation opens no more. Claiming reads the pending ones
-- in order of arrival, the sweep what is over in either active status, the archive the oldest of an
-- ended one; none meets the rows of another status.
create index video_jobs_status_times_out_at_idx on public.video_jobs (status, times_out_at);

alter table public.video_jobs enable row level security;

comment on table public.video_jobs is
$$Generation jobs. Credits are taken when the job is made and held until it ends: a completed job
keeps them, a failed one gives them back in the same transaction.$$;
comment on column public.video_jobs.user_id is 'Whose job.';
comment on column public.video_jobs.job_id is 'UUID version 7: sorts by time of creation.';
comment on column public.video_jobs.model_id is
    'The model. No foreign key: every generation would lock one hot row of the catalogue.';
comment on column public.video_jobs.prompt is 'What the user asked for, 1 to 4,000 characters.';
comment on column public.video_jobs.settings is 'Resolution, duration and such; at most 16 KB.';
comment on column public.video_jobs.status is 'pending, processing, completed or failed.';
comment on column public.video_jobs.error_code is
    'Why it failed: provider_error, timed_out, cancelled or refunded.';
comment on column public.video_jobs.error_message is 'What the provider said, cut at 2,000.';
comment on column public.video_jobs.video_url is 'The video, once completed.';
comment on column public.video_jobs.thumbnail_url is 'Its preview image.';
comment on column public.video_jobs.credits_used is 'Credits taken for it.';
comment on column public.video_jobs.credits_refunded is 'Credits given back of those.';
comment on column public.video_jobs.created_at is 'When it was asked for.';
comment on column public.video_jobs.completed_at is 'When it ended, well or not.';
comment on column public.video_jobs.deleted_at is 'When its user took it off the list.';
comment on column public.video_jobs.attempt is
    'How often it was handed to a worker; a provider''s failure counts only for the last.';
comment on column public.video_jobs.times_out_at is
    'When it fails by itself: 15 minutes after creation, the model''s timeout after the start.';
comment on column public.video_jobs.lease_owner is 'The worker that holds it.';
comment on column public.video_jobs.lease_expires_at is 'Until when; then another may claim it.';
comment on column public.video_jobs.started_at is 'When the provider accepted it.';
comment on column public.video_jobs.provider is 'The model''s provider when it was asked for.';
comment on column public.video_jobs.provider_job_id is
    'The provider''s id of the submission that counts.';

-- The same columns in the same order: rows move here whole. Read by the RPCs only.
create table public.video_jobs_archive (
    like public.video_jobs including comments including storage
);

alter table public.video_jobs_archive add primary key (user_id, job_id);
alter table public.video_jobs_archive enable row level security;

comment on table public.video_jobs_archive is
$$Jobs that ended more than 90 days ago, moved by rendio.archive_jobs() so that video_jobs stays
small. Lists and status read both.$$;

-- A claim table: what a provider calls its job belongs to one of ours, for ever.
create table public.provider_jobs (
    provider text not null
        constraint provider_jobs_provider_check check (length(provider) between 1 and 255),
    provider_job_id text not null
        constraint provider_jobs_provider_job_id_check
        check (length(provider_job_id) between 1 and 255),
    user_id uuid not null,
    job_id uuid not null,
    attempt integer not null,
    created_at timestamptz not null,
    outcome text
        constraint provider_jobs_outcome_check check (outcome in ('succeeded', 'failed')),
    outcome_at timestamptz,
    video_url text,
    thumbnail_url text,
    error_message text,
    primary key (provider, provider_job_id),
    constraint provider_jobs_outcome_at_check check ((outcome is null) = (outcome_at is null))
);

create index provider_jobs_job_idx on public.provider_jobs (user_id, job_id);
create index provider_jobs_outcome_idx on public.provider_jobs (outcome_at)
where outcome is not null;

alter table public.provider_jobs enable row level security;

comment on table public.provider_jobs is
$$One row per submission to a provider. A webhook finds its job here.$$;
comment on column public.provider_jobs.provider is 'fal, runway, pika.';
comment on column public.provider_jobs.provider_job_id is 'The provider''s id of the submission.';
comment on column public.provider_jobs.user_id is 'Whose job. No foreign key: a claim table.';
comment on column public.provider_jobs.job_id is 'The job that was submitted.';
comment on column public.provider_jobs.attempt is 'Which attempt at the job this was.';
comment on column public.provider_jobs.created_at is 'When it was recorded.';
comment on column public.provider_jobs.outcome is
    'What the provider reported when the report did not decide the job: a success after a refund,
a failure of an attempt that no longer counted.';
comment on column public.provider_jobs.outcome_at is 'When that report came.';
comment on column public.provider_jobs.video_url is 'The video of a late success.';
comment on column public.provider_jobs.thumbnail_url is 'Its preview image.';
comment on column public.provider_jobs.error_message is 'What a late failure said.';

create table public.webhook_events (
    source text not null
        constraint webhook_events_source_check check (length(source) between 1 and 255),
    event_id text not null
        constraint webhook_events_event_id_check check (length(event_id) between 1 and 255),
    subject text not null,
    kind text not null,
    received_at timestamptz not null,
    primary key (source, event_id)
);

-- Rows arrive in order of time and leave in it: BRIN stays a page.
create index webhook_events_received_at_idx on public.webhook_events using brin (received_at);

alter table public.webhook_events enable row level security;

comment on table public.webhook_events is
$$Every webhook that was believed, once. A record for people: money is safe by the state of the
job, not by this table.$$;
comment on column public.webhook_events.source is 'Who sent it: the provider or the store.';
comment on column public.webhook_events.event_id is 'The sender''s id of the event.';
comment on column public.webhook_events.subject is 'The provider''s job id.';
comment on column public.webhook_events.kind is 'completed or failed.';
comment on column public.webhook_events.received_at is 'When it first came.';

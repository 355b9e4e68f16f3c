-- The demo's diary: every call that its actors made and what they were answered, so that a
-- query can tell what was asked beside what happened by the tables. Not part of the product.
create schema demo;
comment on schema demo is 'The diary of rendio demo; not part of the product.';

create table demo.calls (
    n bigint generated always as identity primary key,
    at time,
    scene text not null,
    who text not null,
    call text not null,
    caller_id uuid,
    user_id uuid,
    job_id uuid,
    key uuid,
    subject text,
    answer jsonb,
    error text
);
create index on demo.calls (job_id);
create index on demo.calls (user_id);

comment on table demo.calls is
$$One row per call that an actor of the demo made, and per run of a cron job.$$;
comment on column demo.calls.at is 'Time of the story''s day; null in a run at size.';
comment on column demo.calls.scene is 'The row of the table that the call belongs to.';
comment on column demo.calls.who is 'The actor.';
comment on column demo.calls.call is 'The RPC or cron job.';
comment on column demo.calls.caller_id is 'As which user it was called; null: as the service.';
comment on column demo.calls.user_id is 'The user whom it was about.';
comment on column demo.calls.job_id is 'The job that it was about or made.';
comment on column demo.calls.key is 'The idempotency key.';
comment on column demo.calls.subject is 'The device, purchase or provider''s job it was about.';
comment on column demo.calls.answer is
    'What it answered, of a refusal the details; null: the answer was lost.';
comment on column demo.calls.error is 'The slug of the refusal.';

create function demo.n(p_number numeric, p_noun text default null)
returns text
language sql
immutable
begin atomic
    select to_char(p_number, 'FM999,999,999,990') || case
        when p_noun is null then ''
        when p_number = 1 then ' ' || p_noun
        else ' ' || regexp_replace(p_noun || 's', '([^aeiou])ys$', '\1ies')
    end;
end;
comment on function demo.n(numeric, text) is 'A number as people write it, with its noun.';

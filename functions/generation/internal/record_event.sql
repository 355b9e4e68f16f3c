create or replace function rendio.record_event(
    p_source text,
    p_event_id text,
    p_subject text,
    p_kind text,
    p_at timestamptz
)
returns void
language sql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
    insert into public.webhook_events (source, event_id, subject, kind, received_at)
    select p_source, p_event_id, p_subject, p_kind, p_at
    where p_event_id is not null
    on conflict do nothing;
$$;

comment on function rendio.record_event(text, text, text, text, timestamptz) is
$$Keep a record of a webhook, once; nothing without an event id.$$;

revoke execute on function rendio.record_event(text, text, text, text, timestamptz)
from public, anon, authenticated;

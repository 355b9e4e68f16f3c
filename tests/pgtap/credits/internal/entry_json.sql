-- A ledger entry as its user sees it.
begin;
set local timezone = 'UTC';
select plan(2);

create temp view entry as
select e.*::public.quota_log as entry
from jsonb_populate_record(null::public.quota_log, '{
    "user_id": "aaaaaaaa-0000-4000-8000-000000000001", "seq": 7, "change": -4,
    "reason": "video_generation", "balance_after": 6, "created_at": "2030-01-15 08:00:00+00",
    "id": "dddddddd-0000-4000-8000-000000000001", "job_id": "dddddddd-0000-4000-8000-000000000001",
    "lot_seq": 3, "lot_n": 1, "is_sandbox": true
}') as e;

select is(
    rendio.entry_json(entry),
    '{"seq": 7, "change": -4, "reason": "video_generation", "balance_after": 6,
      "job_id": "dddddddd-0000-4000-8000-000000000001",
      "created_at": "2030-01-15T08:00:00+00:00"}',
    'its number, change and cause; neither the lot nor the sandbox'
) from entry;
set local timezone = 'Pacific/Auckland';
set local datestyle = 'sql, dmy';
select is(
    rendio.entry_json(entry) ->> 'created_at', '2030-01-15T21:00:00+13:00',
    'times are ISO 8601, with the session''s offset'
) from entry;

select * from finish();
rollback;

-- Keys that sort by the time they were made.
begin;
select plan(4);

select matches(
    rendio.uuid_v7('2026-11-05 10:20:30.123+00')::text,
    '^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$'::text,
    'version 7, variant of RFC 9562'
);
select is(
    left(replace(rendio.uuid_v7('2026-11-05 10:20:30.123+00')::text, '-', ''), 12),
    lpad(
        to_hex((extract(epoch from timestamptz '2026-11-05 10:20:30.123+00') * 1000)::bigint),
        12, '0'
    ),
    'the first 48 bits are milliseconds'
);
select ok(
    rendio.uuid_v7('2026-11-05 10:20:30.123+00') < rendio.uuid_v7('2026-11-05 10:20:30.124+00'),
    'a millisecond later sorts later'
);
select is(
    (select count(distinct rendio.uuid_v7('2026-11-05 10:20:30.123+00'))::integer
     from generate_series(1, 1000)),
    1000, 'a thousand in one millisecond are a thousand'
);

select * from finish();
rollback;

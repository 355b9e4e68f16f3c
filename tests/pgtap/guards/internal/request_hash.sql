-- Two requests are the same when their texts are.
begin;
select plan(4);

select is(
    rendio.request_hash('paint a cat'), rendio.request_hash('paint a cat'),
    'the same request has the same hash'
);
select isnt(
    rendio.request_hash('paint a cat'), rendio.request_hash('paint a cat '),
    'another has another'
);
select cmp_ok(
    length(rendio.request_hash('')), '>=', 16, 'no fewer than 128 bits tell them apart'
);

-- Callers make the text so that arguments cannot run into each other.
do $$ begin
    perform public.device_check('aaaaaaaa-0000-4000-8000-000000000001', 'ada-phone');
    perform public.generate_video_atomic(
        'aaaaaaaa-0000-4000-8000-000000000001', '5f3b1e70-0000-4000-8000-000000000001',
        '{"b": 1} a cat', '{"a": 1}', '11111111-0000-4000-8000-000000000001');
end $$;
select throws_ok(
    $$ select public.generate_video_atomic(
        'aaaaaaaa-0000-4000-8000-000000000001', '5f3b1e70-0000-4000-8000-000000000001',
        ' a cat', '{"a": 1, "b": 1}', '11111111-0000-4000-8000-000000000001') $$,
    'PT422', 'idempotency_key_reused', 'settings do not run into the prompt'
);

select * from finish();
rollback;

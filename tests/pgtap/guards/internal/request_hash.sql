-- Two requests are the same when function and arguments are.
begin;
select plan(6);

select is(
    rendio.request_hash('f', '[1, {"b": 2, "a": 1}]'),
    rendio.request_hash('f', '[1, {"a": 1, "b": 2}]'),
    'the order of keys makes no difference'
);
select cmp_ok(
    length(rendio.request_hash('f', '[]')), '>=', 16, 'no fewer than 128 bits tell them apart'
);
select isnt(
    rendio.request_hash('f', '["a"]'), rendio.request_hash('g', '["a"]'),
    'the function makes one'
);
select isnt(
    rendio.request_hash('f', '["a", "b"]'), rendio.request_hash('f', '["ab"]'),
    'and so does where one argument ends'
);
select isnt(
    rendio.request_hash('f', '[1]'), rendio.request_hash('f', '["1"]'),
    'a number is no text'
);
select isnt(
    rendio.request_hash('f', '[null]'), rendio.request_hash('f', '["null"]'),
    'null is no text either'
);

select * from finish();
rollback;

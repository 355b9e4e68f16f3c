-- A JSON argument is an object of at most 16 KB.
begin;
select plan(10);

select lives_ok(
    format('select rendio.check_object(%L, ''p_settings'')', settings), what || ' passes'
)
from (values
    ('an empty object', '{}'::jsonb),
    ('a nested one', '{"a": {"b": [1, null]}}'),
    -- {"k": "…"} has 9 characters around its value.
    ('one of 16,384 bytes', jsonb_build_object('k', repeat('x', 16384 - 9)))
) as t (what, settings);
select throws_ok(
    format('select rendio.check_object(%L, ''p_settings'')', settings), code, slug, what || ' is refused'
)
from (values
    ('an array', '[]'::jsonb, 'PT400', 'invalid_argument'),
    ('a text', '"fast"', 'PT400', 'invalid_argument'),
    ('a number', '4', 'PT400', 'invalid_argument'),
    ('JSON null', 'null', 'PT400', 'invalid_argument'),
    ('none', null, 'PT400', 'invalid_argument'),
    ('one of 16,385 bytes', jsonb_build_object('k', repeat('x', 16385 - 9)), 'PT413',
     'payload_too_large'),
    ('one of 16,385 bytes in fewer characters', jsonb_build_object('k', repeat('ü', 8188)),
     'PT413', 'payload_too_large')
) as t (what, settings, code, slug);

select * from finish();
rollback;

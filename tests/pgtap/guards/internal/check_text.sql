-- A text that serves as a key is there and not too long.
begin;
select plan(5);

select lives_ok($$ select rendio.check_text('x', 'p_x', 3) $$, 'one character passes');
select lives_ok($$ select rendio.check_text('äöü', 'p_x', 3) $$, 'characters count, not bytes');
select throws_ok(
    $$ select rendio.check_text('', 'p_x', 3) $$, 'PT400', 'invalid_argument', 'empty is refused'
);
select throws_ok(
    $$ select rendio.check_text(null, 'p_x', 3) $$, 'PT400', 'invalid_argument', 'null is refused'
);
select throws_ok(
    $$ select rendio.check_text('abcd', 'p_x', 3) $$, 'PT413', 'payload_too_large',
    'one too many is too large'
);

select * from finish();
rollback;

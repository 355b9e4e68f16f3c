-- A page is 1 to 100 rows.
begin;
select plan(6);

select lives_ok($$ select rendio.check_page(1) $$, '1 is a page');
select lives_ok($$ select rendio.check_page(100) $$, '100 is a page');
select throws_ok($$ select rendio.check_page(0) $$, 'PT400', 'invalid_argument', '0 is not');
select throws_ok($$ select rendio.check_page(101) $$, 'PT400', 'invalid_argument', '101 is not');
select throws_ok($$ select rendio.check_page(-1) $$, 'PT400', 'invalid_argument', '-1 is not');
select throws_ok($$ select rendio.check_page(null) $$, 'PT400', 'invalid_argument', 'null is not');

select * from finish();
rollback;

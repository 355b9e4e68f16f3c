-- The release, which lives in this function alone.
begin;
select plan(1);

select matches(rendio.version(), '^\d+\.\d+\.\d+$'::text, 'a release number');

select * from finish();
rollback;

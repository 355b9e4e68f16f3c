-- Which rule counts an endpoint.
begin;
select plan(8);

select is((rendio.rate_limit_rule('generate')).requests, 10, 'its own');
select is((rendio.rate_limit_rule('zebra')).endpoint, 'general', 'else the general one');
select is((rendio.rate_limit_rule('analysis')).period, interval '1 minute', 'by the minute');
update public.app_settings set value = '{"generate": false, "analysis": true}'
where key = 'rate_limits';
select is((rendio.rate_limit_rule('generate')).endpoint, null, 'a rule alone is switched off');
select is((rendio.rate_limit_rule('analysis')).endpoint, 'analysis', 'one that is true counts');
select is((rendio.rate_limit_rule('zebra')).endpoint, 'general', 'one that is not named counts');
delete from public.rate_limit_rules where endpoint = 'general';
select is((rendio.rate_limit_rule('zebra')).endpoint, null, 'else none');
update public.app_settings set value = 'false' where key = 'rate_limits';
select is((rendio.rate_limit_rule('generate')).endpoint, null, 'switched off there is none');

select * from finish();
rollback;

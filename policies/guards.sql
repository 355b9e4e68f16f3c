-- Settings are read by the service and written by the migrating login; keys are nobody's to read.
drop policy if exists app_settings_select_service on public.app_settings;
create policy app_settings_select_service on public.app_settings
for select to service_role
using (true);

grant select on public.app_settings to service_role;

drop policy if exists rate_limit_rules_select_service on public.rate_limit_rules;
create policy rate_limit_rules_select_service on public.rate_limit_rules
for select to service_role
using (true);

grant select on public.rate_limit_rules to service_role;

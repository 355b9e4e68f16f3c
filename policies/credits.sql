--! as caller
-- As the caller, because rendio_owner may not use Supabase's schema auth, which policies name.
--
-- A user reads its ledger; nobody but the functions writes it.
drop policy if exists quota_log_select_own on public.quota_log;
create policy quota_log_select_own on public.quota_log
for select to authenticated
using (user_id = (select auth.uid()));

drop policy if exists quota_log_select_service on public.quota_log;
create policy quota_log_select_service on public.quota_log
for select to service_role
using (true);

grant select on public.quota_log to authenticated, service_role;

drop policy if exists credit_grants_select_service on public.credit_grants;
create policy credit_grants_select_service on public.credit_grants
for select to service_role
using (true);

grant select on public.credit_grants to service_role;

drop policy if exists credit_draws_select_service on public.credit_draws;
create policy credit_draws_select_service on public.credit_draws
for select to service_role
using (true);

grant select on public.credit_draws to service_role;

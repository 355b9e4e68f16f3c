--! as caller
-- As the caller, because rendio_owner may not use Supabase's schema auth, which policies name.
--
-- A user sees its own row, whole, and those of guests merged into it: users holds nothing that its
-- owner may not see. A client may
-- change two preferences and nothing else, in this or any table.
drop policy if exists users_select_own on public.users;
create policy users_select_own on public.users
for select to authenticated
using (id = (select auth.uid()) or merged_into = (select auth.uid()));

drop policy if exists users_update_own on public.users;
create policy users_update_own on public.users
for update to authenticated
using (id = (select auth.uid()))
with check (id = (select auth.uid()));

drop policy if exists users_select_service on public.users;
create policy users_select_service on public.users
for select to service_role
using (true);

grant select on public.users to authenticated, service_role;
grant update (language, theme_preference) on public.users to authenticated;

drop policy if exists account_identities_select_service on public.account_identities;
create policy account_identities_select_service on public.account_identities
for select to service_role
using (true);

grant select on public.account_identities to service_role;

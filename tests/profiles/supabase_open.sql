-- The default privileges of most Supabase projects: whatever postgres or supabase_admin creates
-- in public belongs to everybody who can reach the API.

alter default privileges for role postgres in schema public
grant all on tables to anon, authenticated, service_role;
alter default privileges for role postgres in schema public
grant all on functions to anon, authenticated, service_role;
alter default privileges for role postgres in schema public
grant all on sequences to anon, authenticated, service_role;

alter default privileges for role supabase_admin in schema public
grant all on tables to anon, authenticated, service_role;
alter default privileges for role supabase_admin in schema public
grant all on functions to anon, authenticated, service_role;
alter default privileges for role supabase_admin in schema public
grant all on sequences to anon, authenticated, service_role;

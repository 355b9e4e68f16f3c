--! as caller
--! where realtime.messages
-- Broadcasts of Supabase Realtime on the topics jobs:<user id>: we write them, the user reads them.
-- As the caller, because schema and table belong to the platform. Where the caller may not hand
-- the right to write on, Postgres warns of it here, nothing is broadcast, and the publication
-- serves; `grant authenticated to rendio_owner` lends it what every API role has.
-- Locks: ACCESS EXCLUSIVE on realtime.messages, for moments.
grant usage on schema realtime to rendio_owner;
grant insert on realtime.messages to rendio_owner;

drop policy if exists rendio_jobs_send on realtime.messages;
create policy rendio_jobs_send on realtime.messages
for insert to rendio_owner
with check (extension = 'broadcast' and private and topic like 'jobs:%');

-- Realtime asks once, when somebody joins a topic.
drop policy if exists rendio_jobs_receive on realtime.messages;
create policy rendio_jobs_receive on realtime.messages
for select to authenticated
using (
    extension = 'broadcast'
    and (select realtime.topic()) = 'jobs:' || (select auth.uid())::text
);

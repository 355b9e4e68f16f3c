-- Everyone sees what is on sale, by column: the provider's name for a model stays hidden. The
-- service keeps the catalogue.
drop policy if exists models_select_available on public.models;
create policy models_select_available on public.models
for select to anon, authenticated
using (is_available);

drop policy if exists models_all_service on public.models;
create policy models_all_service on public.models
for all to service_role
using (true)
with check (true);

grant select (
    id, name, category, description, cost_per_generation, provider, is_featured, is_available,
    thumbnail_url, created_at
) on public.models to anon, authenticated;
grant select, insert, update on public.models to service_role;
-- The default of created_at asks the clock, with the right of whoever inserts.
grant execute on function rendio.clock() to service_role;

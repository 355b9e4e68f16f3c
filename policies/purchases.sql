-- The service keeps the products and reads the purchases; clients see neither.
drop policy if exists iap_products_all_service on public.iap_products;
create policy iap_products_all_service on public.iap_products
for all to service_role
using (true)
with check (true);

grant select, insert, update on public.iap_products to service_role;

drop policy if exists iap_transactions_select_service on public.iap_transactions;
create policy iap_transactions_select_service on public.iap_transactions
for select to service_role
using (true);

grant select on public.iap_transactions to service_role;

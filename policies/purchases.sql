-- The service keeps the products and reads the rest; clients see none of it.
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

drop policy if exists store_notifications_select_service on public.store_notifications;
create policy store_notifications_select_service on public.store_notifications
for select to service_role
using (true);

grant select on public.store_notifications to service_role;

drop policy if exists purchase_revocations_select_service on public.purchase_revocations;
create policy purchase_revocations_select_service on public.purchase_revocations
for select to service_role
using (true);

grant select on public.purchase_revocations to service_role;

drop policy if exists consumption_consents_select_service on public.consumption_consents;
create policy consumption_consents_select_service on public.consumption_consents
for select to service_role
using (true);

grant select on public.consumption_consents to service_role;

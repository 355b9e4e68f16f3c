create or replace function rendio.raise_foreign_purchase(p_transaction_id text)
returns void
language plpgsql
stable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    raise sqlstate 'PT409' using
        message = 'purchase_belongs_to_another_user',
        detail = jsonb_build_object('transaction_id', p_transaction_id)::text,
        hint = 'Sign in with the account that bought it.';
end;
$$;

comment on function rendio.raise_foreign_purchase(text) is
$$Refuse a transaction that another user bought, without saying who.

@raises PT409 purchase_belongs_to_another_user$$;

revoke execute on function rendio.raise_foreign_purchase(text) from public, anon, authenticated;

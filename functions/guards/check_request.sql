-- Locks: the subject's row, until the request's transaction ends.
create or replace function public.check_request()
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_user_id uuid := rendio.caller_id();
    v_answer jsonb;
begin
    if rendio.caller_is_service() or current_setting('transaction_read_only') = 'on' then
        return;
    end if;
    v_answer := rendio.rate_limit(
        coalesce('user:' || v_user_id, 'subject:' || left(rendio.client_address(), 255)),
        case
            when current_setting('request.path', true) like '%/rpc/generate_video_atomic'
                then 'generate'
            else 'general'
        end,
        1
    );
    if not (v_answer ->> 'allowed')::boolean then
        raise sqlstate 'PT429' using
            message = 'rate_limited',
            detail = (v_answer - 'allowed')::text,
            hint = 'Wait as many seconds as retry_after says.';
    end if;
end;
$$;

comment on function public.check_request() is
$$Count a request of a client before it is served: PostgREST's db-pre-request.

Counts only where the transaction may write, in that transaction: a call that fails afterwards is not
counted, and reads, which PostgREST serves in read-only transactions, never are. The service counts
for itself, with check_rate_limit. By user, else by address (see rendio.client_address).

@raises PT429 rate_limited$$;

revoke execute on function public.check_request() from public, anon, authenticated;
grant execute on function public.check_request() to anon, authenticated, service_role;

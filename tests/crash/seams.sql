-- What the crash test puts into its own database: time stands where the session says, and a call
-- waits where the session says, on a lock that the test holds until it kills.

create schema crash;
grant usage on schema crash to public;

create function crash.reach(p_point text)
returns void
language plpgsql
volatile
as $$
begin
    if current_setting('crash.hold', true) = p_point then
        perform pg_advisory_xact_lock_shared(hashtext('crash'));
    end if;
end;
$$;

-- Every call asks for the time near its start.
create or replace function rendio.clock()
returns timestamptz
language plpgsql
volatile
as $$
begin
    perform crash.reach('clock');
    return coalesce(nullif(current_setting('crash.now', true), '')::timestamptz, clock_timestamp());
end;
$$;

create function crash.reach_after_write()
returns trigger
language plpgsql
volatile
as $$
begin
    perform crash.reach(tg_argv[0]);
    return null;
end;
$$;

-- Held after a statement that wrote the table, or, with all rows written, at the commit.
do $$
declare
    v_table text;
begin
    foreach v_table in array array[
        'users', 'account_identities', 'idempotency_log', 'quota_log', 'credit_grants',
        'video_jobs', 'video_jobs_archive', 'provider_jobs', 'iap_transactions',
        'store_notifications', 'purchase_revocations'
    ] loop
        execute format(
            'create trigger crash_write after insert or update or delete on public.%1$I'
            ' for each row execute function crash.reach_after_write(%1$L)',
            v_table
        );
        if v_table <> 'quota_log' then
            execute format(
                'create constraint trigger crash_commit after insert or update or delete'
                ' on public.%I deferrable initially deferred'
                ' for each row execute function crash.reach_after_write(''commit'')',
                v_table
            );
        end if;
    end loop;
end;
$$;

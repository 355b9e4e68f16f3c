-- Locks: keys, then the account's identities, so that no guest is merged into it meanwhile, then
-- its jobs, then the users' rows. A generation that was ahead of those rows has left a new key and
-- a new job: jobs are forgotten once more, and keys that are in nobody's hands go. That is
-- against the order of locks, for jobs made in this very moment: whoever ends one of them may meet
-- 40P01.
create or replace function public.delete_account(p_user_id uuid)
returns jsonb
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_now timestamptz := rendio.clock();
    v_user public.users;
    v_people uuid[];
    v_person uuid;
    v_is_new boolean := false;
begin
    perform rendio.require_user(p_user_id);
    select * into v_user from public.users as u where u.id = p_user_id;
    if v_user.id is null then
        perform rendio.require_account(p_user_id);
    elsif v_user.merged_into is not null then
        perform rendio.raise_no_guest(v_user);
    end if;

    if v_user.deleted_at is null then
        delete from public.idempotency_log as l
        where l.user_id in (select p from rendio.people_of(p_user_id) as p);
        perform from public.account_identities as i
        where i.user_id = p_user_id
        order by i.kind, i.identifier
        for no key update;
        v_people := array(select p from rendio.people_of(p_user_id) as p order by p = p_user_id);
        perform rendio.forget_jobs(v_people, v_now);
        perform rendio.forget_jobs(v_people, v_now);
        foreach v_person in array v_people loop
            v_is_new := rendio.forget_person(v_person, p_user_id, v_now);
        end loop;
    end if;
    return jsonb_build_object('user_id', p_user_id, 'deleted', true, 'replayed', not v_is_new);
end;
$$;

comment on function public.delete_account(uuid) is
$$Delete an account, and the guests merged into it.

Email, device and Apple ids, prompts, settings, URLs and messages are gone; jobs that no worker has
taken are cancelled, those at a provider end unseen. What is left of the credits is lost. The
ledger stays, under an id that means nobody, and reconciles; that a device or an Apple account had
its initial credits stays known by a digest.
Safe to repeat.

@returns {user_id: uuid, deleted: boolean, replayed: boolean}
@raises PT400 invalid_argument
@raises PT401 not_authenticated
@raises PT403 not_your_account
@raises PT404 user_not_found
@raises PT409 account_merged$$;

revoke execute on function public.delete_account(uuid) from public, anon, authenticated;
grant execute on function public.delete_account(uuid) to authenticated, service_role;

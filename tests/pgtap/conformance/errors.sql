-- Every error is registered, raised somewhere, and told in the comment of whatever raises it.
begin;
select plan(7);

create temp view ours as
select p.oid, n.nspname || '.' || p.proname as name, n.nspname,
    coalesce(pg_get_function_sqlbody(p.oid), p.prosrc) as body,
    obj_description(p.oid, 'pg_proc') as comment
from pg_proc as p
join pg_namespace as n on n.oid = p.pronamespace
where n.nspname in ('public', 'rendio') and pg_get_userbyid(p.proowner) = 'rendio_owner';

-- PostgREST takes an error with headers as one of its own, whose message has all the rest.
create temp view whole_answers as
select o.name, m[1] as message
from ours as o
cross join lateral regexp_matches(
    o.body,
    'raise sqlstate ''PGRST'' using\s+message = jsonb_build_object\('
    '(\s+''code'', ''PT\d{3}'', ''message'', ''\w+'',\s+''details'', [^;]+?,\s+''hint'', [^;]+?)'
    '\)::text,\s+detail = [^;]+;',
    'g'
) as m;

create temp view raised as
select o.name, m[1] as sqlstate, m[2] as slug
from ours as o
cross join lateral
    regexp_matches(o.body, 'raise sqlstate ''(\w+)'' using\s+message = ''(\w+)''', 'g') as m
union all
select o.name, m[1], m[2]
from whole_answers as o
cross join lateral regexp_matches(o.message, '''code'', ''(\w+)'', ''message'', ''(\w+)''', 'g') as m;

create temp view documented as
select o.name, m[1] as sqlstate, m[2] as slug
from ours as o
cross join lateral regexp_matches(o.comment, '^@raises (\w+) (\w+)$', 'gn') as m;

create temp view calls as
select distinct o.name as caller, 'rendio.' || m[1] as callee
from ours as o
cross join lateral regexp_matches(o.body, 'rendio\.(\w+)\(', 'g') as m
where 'rendio.' || m[1] <> o.name;

-- Calls that cannot raise what the callee in general can. A line here is a claim to be defended.
create temp table never_raises (caller text, callee text, slug text, why text);
insert into never_raises values
('rendio.end_failed_job', 'rendio.post_entry', null,
 'gives credits to a user that the job references; a closed account passes them on'),
('public.complete_video_job', 'rendio.post_entry', null, 'as end_failed_job'),
('public.device_check', 'rendio.post_entry', null, 'gives credits to the user it just created'),
('rendio.settle_expiry', 'rendio.post_entry', null, 'takes what the locked lots hold'),
('rendio.forfeit_credits', 'rendio.post_entry', null, 'takes what the locked row holds'),
('rendio.move_credits', 'rendio.post_entry', null,
 'takes what the locked row holds, for an account whose Apple id is locked or that took it before'),
('rendio.forget_jobs', 'rendio.end_failed_job', 'invalid_transition', 'job locked, seen active'),
('rendio.forget_person', 'rendio.raise_no_guest', 'invalid_transition', 'asked of merged ones'),
('public.delete_account', 'rendio.raise_no_guest', 'invalid_transition', 'asked of merged ones'),
('rendio.credit_purchase', 'rendio.post_entry', 'insufficient_credits', 'only gives'),
('rendio.credit_purchase', 'rendio.post_entry', 'account_merged', 'passed on to the account'),
('rendio.apply_charge', 'rendio.credit_purchase', 'user_not_found', 'the user was found'),
('rendio.collect_debt', 'rendio.post_entry', null, 'takes what the locked lots hold'),
('rendio.forfeit_sandbox', 'rendio.post_entry', null, 'takes what the locked lots hold'),
('rendio.reverse_revocation', 'rendio.post_entry', null,
 'gives, to the locked row of a user that is not merged; a closed account passes it on'),
('rendio.post_entry', 'rendio.refuse_entry', 'account_blocked', 'asked for spending alone'),
('public.fail_video_job', 'rendio.end_failed_job', 'invalid_transition', 'job locked, seen active'),
('public.refund_video_job', 'rendio.end_failed_job', 'invalid_transition', 'the same'),
('rendio.sweep_stuck_jobs', 'rendio.end_failed_job', 'invalid_transition', 'the same');

create temp view can_raise as
with recursive can (name, sqlstate, slug) as (
    select name, sqlstate, slug from raised
    union
    select c.caller, can.sqlstate, can.slug
    from can
    join calls as c on c.callee = can.name
    where not exists (
        select from never_raises as n
        where n.caller = c.caller and n.callee = c.callee
            and (n.slug is null or n.slug = can.slug)
    )
)
select * from can;

select is_empty(
    $$ select name, sqlstate, slug from raised
       where (sqlstate, slug) not in (select e.sqlstate, e.slug from rendio.errors() as e) $$,
    'whatever is raised is registered'
);
select set_eq(
    $$ select slug from rendio.errors() where slug not in (select r.slug from raised as r) $$,
    array[]::text[],
    'whatever is registered is raised'
);
select is_empty(
    $$ select name, sqlstate, slug from can_raise
       except select name, sqlstate, slug from documented $$,
    'a function''s comment tells every error that it or a helper can raise'
);
select is_empty(
    $$ select name, sqlstate, slug from documented
       except select name, sqlstate, slug from can_raise $$,
    'and none that it cannot'
);
select is_empty(
    $$ select n.caller, n.callee from never_raises as n
       where (n.caller, n.callee) not in (select c.caller, c.callee from calls as c) $$,
    'and every exception above is of a call that is made'
);

-- Every raise is of that one form, with detail and hint.
select is_empty(
    $$ select name from ours
       where regexp_replace(body, '--[^\n]*', '', 'g') ~ '\mraise\s+(?!sqlstate |warning )' $$,
    'nothing is raised without a SQLSTATE of ours'
);
select is_empty(
    $$ select o.name from ours as o
       where (select count(*) from regexp_matches(o.body, 'raise sqlstate', 'g'))
           <> (select count(*) from regexp_matches(o.body,
               'raise sqlstate ''PT\d{3}'' using\s+message = ''\w+'','
               '\s+detail = [^;]+?,\s+hint = [^;]+;', 'g'))
           + (select count(*) from whole_answers as w where w.name = o.name) $$,
    'every raise has message, detail and hint'
);

select * from finish();
rollback;

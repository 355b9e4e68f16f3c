"""For every family of pgTAP functions assertions that pass and assertions that fail, one a line."""

from dataclasses import dataclass

# What the assertions speak of; each file makes it in its own transaction.
WORLD = """
create role pgtap_clerk; create role pgtap_group; grant pgtap_group to pgtap_clerk;
create schema shop; set local search_path = shop, public, tap;
create type mood as enum ('low', 'high');
create type point3 as (x int, y int, z int);
create domain price as numeric check (value > 0);
create sequence ticket;
create table item (id int primary key, code text not null unique, cost price default 1, note text,
    check (id > 0));
create table sale (id int primary key, item_id int references item, at date);
create table old_sale () inherits (sale);
create table log (id int, at date) partition by range (at);
create table log_1 partition of log for values from ('2020-01-01') to ('2021-01-01');
create index sale_at on sale (at); cluster sale using sale_at;
create view cheap as select * from item where cost < 5;
create materialized view stock as select count(*) as n from item;
create rule quiet as on delete to sale do instead nothing;
create function one() returns int language sql immutable strict as 'select 1';
create function many(int) returns setof int language sql security definer as 'select $1';
create procedure tidy() language sql as 'select 1';
create aggregate total(int) (sfunc = int4pl, stype = int);
create function tap_good() returns setof text language plpgsql as
    'begin return next pass(''in a function''); end';
create function tap_bad() returns setof text language plpgsql as
    'begin return next fail(''in a function''); end';
create function stamp() returns trigger language plpgsql as 'begin return new; end';
create trigger stamped before insert on item for each row execute function stamp();
create foreign data wrapper nowhere; create server far foreign data wrapper nowhere;
create foreign table remote (id int) server far;
alter table item enable row level security;
create policy mine on item for select to pgtap_clerk using (true);
grant select, insert on item to pgtap_clerk; grant usage on schema shop to pgtap_clerk;
insert into item values (1, 'a'), (2, 'b');
"""


@dataclass(frozen=True)
class Family:
    passing: str
    failing: str

    def file(self, *, failing: bool) -> str:
        """Return the SQL of a test file."""
        calls = (self.failing if failing else self.passing).strip().splitlines()
        tests = "\n".join(f"select {call};" for call in calls)
        return f"begin;\n{WORLD}\nselect no_plan();\n{tests}\nselect * from finish();\nrollback;\n"


FAMILIES = {
    "truth": Family(
        "ok(true, 'a')\npass('b')\ncmp_ok(1, '<', 2, 'c')\nisa_ok(1, 'integer', 'd')",
        "ok(false, 'a')\nfail('b')\ncmp_ok(2, '<', 1, 'c')\nisa_ok(1, 'text', 'd')\nok(null, 'e')",
    ),
    "equality": Family(
        "is(1, 1)\nis(null::int, null, 'nulls')\nisnt(1, 2, 'b')\nisnt(1, null)",
        "is(1, 2)\nis(null::int, 1, 'null')\nisnt(1, 1, 'b')\nis('a'::text, null)",
    ),
    "matching": Family(
        "matches('abc'::text, 'b')\nimatches('abc'::text, 'B')\ndoesnt_match('abc'::text, 'z')\n"
        "doesnt_imatch('abc'::text, 'Z')\nalike('abc'::text, 'a%')\nialike('abc'::text, 'A%')\n"
        "unalike('abc'::text, 'z%')\nunialike('abc'::text, 'Z%')",
        "matches('abc'::text, 'z')\nimatches('abc'::text, 'Z')\ndoesnt_match('abc'::text, 'b')\n"
        "doesnt_imatch('abc'::text, 'B')\nalike('abc'::text, 'z%')\nialike('abc'::text, 'Z%')\n"
        "unalike('abc'::text, 'a%')\nunialike('abc'::text, 'A%')",
    ),
    "exceptions": Family(
        "throws_ok('select 1/0')\nthrows_ok('select 1/0', '22012', 'division by zero', 'a')\n"
        "throws_like('select 1/0', '%zero')\nthrows_ilike('select 1/0', '%ZERO')\n"
        "throws_matching('select 1/0', 'by')\nthrows_imatching('select 1/0', 'BY')\n"
        "lives_ok('select 1', 'b')",
        "throws_ok('select 1')\nthrows_ok('select 1/0', '23505', null, 'a')\n"
        "throws_like('select 1/0', 'x%')\nthrows_ilike('select 1/0', 'X%')\n"
        "throws_matching('select 1/0', 'x')\nthrows_imatching('select 1/0', 'X')\n"
        "lives_ok('select 1/0', 'b')",
    ),
    "performance": Family(
        "performs_ok('select 1', 60000)\nperforms_within('select 1', 0, 60000, 2, 'a')",
        "performs_ok('select pg_sleep(0.02)', 1)\n"
        "performs_within('select pg_sleep(0.01)', 0, 1, 2, 'a')",
    ),
    "results": Family(
        "results_eq('select 1', 'values (1)')\nresults_ne('select 1', 'values (2)')\n"
        "results_eq('select code from item order by 1', array['a', 'b'])\n"
        "row_eq('select 1, 2', row(1, 2))",
        "results_eq('select 1', 'values (2)', 'a')\nresults_ne('select 1', 'values (1)')\n"
        "results_eq('select 1', 'values (''x'')')\nrow_eq('select 1, 2', row(1, 3), 'b')",
    ),
    "sets": Family(
        "set_eq('values (1), (2)', 'values (2), (1), (1)')\nset_ne('values (1)', 'values (2)')\n"
        "set_has('values (1), (2)', 'values (2)')\nset_hasnt('values (1)', 'values (2)')",
        "set_eq('values (1), (2)', 'values (2), (3)', 'a')\nset_ne('values (1)', 'values (1)')\n"
        "set_has('values (1)', 'values (2)')\nset_hasnt('values (1)', 'values (1)', 'b')",
    ),
    "bags": Family(
        "bag_eq('values (1), (2)', 'values (2), (1)')\nbag_ne('values (1)', 'values (1), (1)')\n"
        "bag_has('values (1), (2)', 'values (2)')\nbag_hasnt('values (1)', 'values (2)')",
        "bag_eq('values (1)', 'values (1), (1)', 'a')\nbag_ne('values (1)', 'values (1)')\n"
        "bag_has('values (1)', 'values (1), (1)')\nbag_hasnt('values (1)', 'values (1)', 'b')",
    ),
    "emptiness": Family(
        "is_empty('select 1 where false')\nisnt_empty('select 1', 'a')",
        "is_empty('select 1', 'a')\nisnt_empty('select 1 where false')",
    ),
    "has_relations": Family(
        "has_schema('shop')\nhas_table('item')\nhas_table('shop', 'item', 'a')\nhas_view('cheap')\n"
        "has_materialized_view('stock')\nhas_sequence('ticket')\nhas_foreign_table('remote')\n"
        "has_relation('item')\nhas_composite('point3')",
        "has_schema('shoe')\nhas_table('nothing')\nhas_table('shop', 'nothing', 'a')\n"
        "has_view('item')\nhas_materialized_view('cheap')\nhas_sequence('item')\n"
        "has_foreign_table('item')\nhas_relation('nothing')\nhas_composite('mood')",
    ),
    "hasnt_relations": Family(
        "hasnt_schema('shoe')\nhasnt_table('nothing')\nhasnt_view('item')\n"
        "hasnt_materialized_view('item')\nhasnt_sequence('item')\nhasnt_foreign_table('item')\n"
        "hasnt_relation('nothing')\nhasnt_composite('mood')",
        "hasnt_schema('shop')\nhasnt_table('item')\nhasnt_view('cheap')\n"
        "hasnt_materialized_view('stock')\nhasnt_sequence('ticket')\n"
        "hasnt_foreign_table('remote')\n"
        "hasnt_relation('item')\nhasnt_composite('point3')",
    ),
    "has_types": Family(
        "has_type('mood')\nhas_domain('price')\nhas_enum('mood')\nhas_cast('integer', 'bigint')\n"
        "has_operator('integer', '+', 'integer', 'integer')\n"
        "has_leftop('-', 'integer', 'integer')\n"
        "has_opclass('int4_ops')\nenum_has_labels('mood', array['low', 'high'])",
        "has_type('food')\nhas_domain('mood')\nhas_enum('price')\nhas_cast('json', 'int4')\n"
        "has_operator('int4', '<->', 'int4', 'int4')\nhas_leftop('<->', 'int4', 'int4')\n"
        "has_opclass('no_ops')\nenum_has_labels('mood', array['low'])",
    ),
    "hasnt_types": Family(
        "hasnt_type('food')\nhasnt_domain('mood')\nhasnt_enum('price')\n"
        "hasnt_cast('json', 'int4')\n"
        "hasnt_leftop('<->', 'integer', 'integer')\nhasnt_rightop('integer', '<->', 'integer')\n"
        "hasnt_operator('int4', '<->', 'int4', 'int4')\nhasnt_opclass('no_ops')",
        "hasnt_type('mood')\nhasnt_domain('price')\nhasnt_enum('mood')\n"
        "hasnt_cast('integer', 'bigint')\n"
        "hasnt_leftop('-', 'integer', 'integer')\nhas_rightop('integer', '<->', 'integer')\n"
        "hasnt_operator('integer', '+', 'integer', 'integer')\nhasnt_opclass('int4_ops')",
    ),
    "domains": Family(
        "domain_type_is('shop', 'price', 'pg_catalog', 'numeric', 'a')\n"
        "domain_type_isnt('shop', 'price', 'pg_catalog', 'text', 'b')\n"
        "cast_context_is('integer', 'bigint', 'implicit')",
        "domain_type_is('shop', 'price', 'pg_catalog', 'text', 'a')\n"
        "domain_type_isnt('shop', 'price', 'pg_catalog', 'numeric', 'b')\n"
        "cast_context_is('integer', 'bigint', 'explicit')",
    ),
    "columns": Family(
        "has_column('item', 'code')\nhasnt_column('item', 'weight')\ncol_not_null('item', 'code')\n"
        "col_is_null('item', 'note')\ncol_has_default('item', 'cost')\n"
        "col_hasnt_default('item', 'note')\ncol_type_is('item', 'note', 'text')\n"
        "col_default_is('item', 'cost', '1')\ncolumns_are('sale', array['id', 'item_id', 'at'])",
        "has_column('item', 'weight')\nhasnt_column('item', 'code')\ncol_not_null('item', 'note')\n"
        "col_is_null('item', 'code')\ncol_has_default('item', 'note')\n"
        "col_hasnt_default('item', 'cost')\ncol_type_is('item', 'note', 'int')\n"
        "col_default_is('item', 'cost', '2')\ncolumns_are('sale', array['id'])",
    ),
    "constraints": Family(
        "has_pk('item')\nhasnt_pk('log')\nhas_fk('sale')\nhasnt_fk('item')\nhas_unique('item')\nhas_check('item')\n"
        "col_is_pk('item', 'id')\ncol_isnt_pk('item', 'code')\ncol_is_fk('sale', 'item_id')\n"
        "col_isnt_fk('sale', 'at')\ncol_is_unique('item', 'code')\ncol_has_check('item', 'id')\n"
        "fk_ok('sale', 'item_id', 'item', 'id')",
        "has_pk('log')\nhasnt_pk('item')\nhas_fk('item')\nhasnt_fk('sale')\nhas_unique('log')\nhas_check('log')\n"
        "col_is_pk('item', 'code')\ncol_isnt_pk('item', 'id')\ncol_is_fk('sale', 'at')\n"
        "col_isnt_fk('sale', 'item_id')\ncol_is_unique('item', 'note')\n"
        "col_has_check('item', 'note')\nfk_ok('sale', 'id', 'item', 'id')",
    ),
    "indexes": Family(
        "has_index('shop', 'sale', 'sale_at', 'at', 'a')\nhasnt_index('shop', 'sale', 'none')\n"
        "index_is_unique('item_pkey')\nindex_is_primary('item_pkey')\n"
        "index_is_type('shop', 'sale', 'sale_at', 'btree')\nis_clustered('sale', 'sale_at')\n"
        "is_indexed('shop', 'sale', 'at'::name)\n"
        "indexes_are('item', array['item_pkey', 'item_code_key'])",
        "has_index('shop', 'sale', 'sale_at', 'id', 'a')\nhasnt_index('shop', 'sale', 'sale_at')\n"
        "index_is_unique('sale_at')\nindex_is_primary('sale_at')\n"
        "index_is_type('shop', 'sale', 'sale_at', 'hash')\nis_clustered('item', 'item_pkey')\n"
        "is_indexed('shop', 'item', 'note'::name)\nindexes_are('item', array['item_pkey'])",
    ),
    "triggers_and_rules": Family(
        "has_trigger('item', 'stamped')\nhasnt_trigger('sale', 'stamped')\n"
        "trigger_is('item', 'stamped', 'stamp')\ntriggers_are('item', array['stamped'])\n"
        "has_rule('sale', 'quiet')\nhasnt_rule('item', 'quiet')\nrule_is_instead('sale', 'quiet')\n"
        "rule_is_on('sale', 'quiet', 'delete')\nrules_are('sale', array['quiet'])",
        "has_trigger('sale', 'stamped')\nhasnt_trigger('item', 'stamped')\n"
        "trigger_is('item', 'stamped', 'one')\ntriggers_are('item', array['other'])\n"
        "has_rule('item', 'quiet')\nhasnt_rule('sale', 'quiet')\nrule_is_instead('item', 'quiet')\n"
        "rule_is_on('sale', 'quiet', 'insert')\nrules_are('sale', array['other'])",
    ),
    "functions": Family(
        "has_function('one')\nhas_function('shop', 'many', array['integer'])\n"
        "hasnt_function('two')\n"
        "can('shop', array['one', 'many'])\nfunction_lang_is('one', 'sql')\n"
        "function_returns('one', 'integer')\nis_definer('many')\nisnt_definer('one')\n"
        "is_strict('one')\nisnt_strict('many')\nvolatility_is('one', 'immutable')",
        "has_function('two')\nhas_function('shop', 'many', array['text'])\nhasnt_function('one')\n"
        "can('shop', array['one', 'two'])\nfunction_lang_is('one', 'plpgsql')\n"
        "function_returns('one', 'text')\nis_definer('one')\nisnt_definer('many')\n"
        "is_strict('many')\nisnt_strict('one')\nvolatility_is('one', 'stable')",
    ),
    "kinds_of_functions": Family(
        "is_normal_function('one')\nisnt_normal_function('tidy')\nis_procedure('tidy')\n"
        "isnt_procedure('one')\nis_aggregate('total')\nisnt_aggregate('one')\n"
        "is_window('pg_catalog', 'rank', array[]::name[])\nisnt_window('one')",
        "is_normal_function('tidy')\nisnt_normal_function('one')\nis_procedure('one')\n"
        "isnt_procedure('tidy')\nis_aggregate('one')\nisnt_aggregate('total')\n"
        "is_window('one')\nisnt_window('pg_catalog', 'rank', array[]::name[])",
    ),
    "lists_of_a_schema": Family(
        "tables_are('shop', array['item', 'sale', 'old_sale', 'log', 'log_1'])\n"
        "views_are('shop', array['cheap'])\nmaterialized_views_are('shop', array['stock'])\n"
        "sequences_are('shop', array['ticket'])\nforeign_tables_are('shop', array['remote'])\n"
        "enums_are('shop', array['mood'])\ndomains_are('shop', array['price'])\n"
        "types_are('shop', array['mood', 'point3', 'price'])\n"
        "functions_are('shop', array['one', 'many', 'tidy', 'total', 'stamp',"
        " 'tap_good', 'tap_bad'])\n"
        "opclasses_are('shop', array[]::name[])",
        "tables_are('shop', array['item'])\nviews_are('shop', array['item'])\n"
        "materialized_views_are('shop', array['cheap'])\nsequences_are('shop', array['item'])\n"
        "foreign_tables_are('shop', array['item'])\nenums_are('shop', array['price'])\n"
        "domains_are('shop', array['mood'])\ntypes_are('shop', array['mood'])\n"
        "functions_are('shop', array['one'])\nopclasses_are('shop', array['no_ops'])",
    ),
    "lists_of_the_database": Family(
        "schemas_are((select array_agg(nspname) from pg_namespace where nspname !~ '^pg_'"
        " and nspname <> 'information_schema'))\n"
        "languages_are((select array_agg(lanname) from pg_language where lanispl))\n"
        "extensions_are((select array_agg(extname) from pg_extension))\n"
        "casts_are((select array_agg(pg_catalog.format_type(castsource, null) || ' AS '"
        " || pg_catalog.format_type(casttarget, null)) from pg_cast), 'a')\n"
        "roles_are((select array_agg(rolname) from pg_roles))\n"
        "users_are((select array_agg(usename) from pg_user))\n"
        "groups_are((select array_agg(groname) from pg_group))\n"
        "tablespaces_are((select array_agg(spcname) from pg_tablespace))",
        "schemas_are(array['shop'])\nlanguages_are(array['perl'])\nextensions_are(array['none'])\n"
        "casts_are(array['none'])\nroles_are(array['none'])\nusers_are(array['none'])\n"
        "groups_are(array['none'])\ntablespaces_are(array['none'])\n"
        "operators_are('shop', array['+(int,int) returns int'])",
    ),
    "roles": Family(
        "has_role('pgtap_clerk')\nhasnt_role('pgtap_nobody')\nhas_user(current_user)\n"
        "hasnt_user('pgtap_nobody')\nhas_group('pgtap_group')\nhasnt_group('pgtap_nobody')\n"
        "is_superuser(current_user)\nisnt_superuser('pgtap_clerk')\n"
        "is_member_of('pgtap_group', 'pgtap_clerk')\nisnt_member_of('pgtap_clerk', 'pgtap_group')",
        "has_role('pgtap_nobody')\nhasnt_role('pgtap_clerk')\nhas_user('pgtap_nobody')\n"
        "hasnt_user(current_user)\nhas_group('pgtap_nobody')\nhasnt_group('pgtap_group')\n"
        "is_superuser('pgtap_clerk')\nisnt_superuser(current_user)\n"
        "is_member_of('pgtap_clerk', 'pgtap_group')\nisnt_member_of('pgtap_group', 'pgtap_clerk')",
    ),
    "languages_and_extensions": Family(
        "has_language('sql')\nhasnt_language('perl')\nlanguage_is_trusted('sql')\n"
        "has_extension('plpgsql')\nhasnt_extension('none')\nhas_tablespace('pg_default')\n"
        "hasnt_tablespace('none')",
        "has_language('perl')\nhasnt_language('sql')\nlanguage_is_trusted('c')\n"
        "has_extension('none')\nhasnt_extension('plpgsql')\nhas_tablespace('none')\n"
        "hasnt_tablespace('pg_default')",
    ),
    "owners": Family(
        "table_owner_is('item', current_user)\nview_owner_is('cheap', current_user)\n"
        "sequence_owner_is('ticket', current_user)\nschema_owner_is('shop', current_user)\n"
        "function_owner_is('one', array[]::name[], current_user)\n"
        "index_owner_is('sale', 'sale_at', current_user)\ntype_owner_is('mood', current_user)\n"
        "relation_owner_is('item', current_user)\ncomposite_owner_is('point3', current_user)\n"
        "materialized_view_owner_is('stock', current_user)\n"
        "foreign_table_owner_is('remote', current_user)\n"
        "db_owner_is(current_database(), current_user)",
        "table_owner_is('item', 'pgtap_clerk')\nview_owner_is('cheap', 'pgtap_clerk')\n"
        "sequence_owner_is('ticket', 'pgtap_clerk')\nschema_owner_is('shop', 'pgtap_clerk')\n"
        "function_owner_is('one', array[]::name[], 'pgtap_clerk')\n"
        "index_owner_is('sale', 'sale_at', 'pgtap_clerk')\ntype_owner_is('mood', 'pgtap_clerk')\n"
        "relation_owner_is('item', 'pgtap_clerk')\ncomposite_owner_is('point3', 'pgtap_clerk')\n"
        "materialized_view_owner_is('stock', 'pgtap_clerk')\n"
        "foreign_table_owner_is('remote', 'pgtap_clerk')\n"
        "db_owner_is(current_database(), 'pgtap_clerk')\nlanguage_owner_is('sql', 'pgtap_clerk')\n"
        "opclass_owner_is('int4_ops', 'pgtap_clerk')\n"
        "tablespace_owner_is('pg_default', 'pgtap_clerk')",
    ),
    "privileges": Family(
        "table_privs_are('item', 'pgtap_clerk', array['SELECT', 'INSERT'])\n"
        "schema_privs_are('shop', 'pgtap_clerk', array['USAGE'])\n"
        "column_privs_are('item', 'code', 'pgtap_clerk', array['SELECT', 'INSERT'])\n"
        "any_column_privs_are('item', 'pgtap_clerk', array['SELECT', 'INSERT'])\n"
        "sequence_privs_are('ticket', 'pgtap_clerk', array[]::name[])\n"
        "function_privs_are('one', array[]::name[], 'pgtap_clerk', array['EXECUTE'])\n"
        "database_privs_are(current_database(), 'pgtap_clerk', array['CONNECT', 'TEMPORARY'])\n"
        "language_privs_are('sql', 'pgtap_clerk', array['USAGE'])\n"
        "fdw_privs_are('nowhere', 'pgtap_clerk', array[]::name[])\n"
        "server_privs_are('far', 'pgtap_clerk', array[]::name[])\n"
        "tablespace_privs_are('pg_default', 'pgtap_clerk', array[]::name[])",
        "table_privs_are('item', 'pgtap_clerk', array['DELETE'])\n"
        "schema_privs_are('shop', 'pgtap_clerk', array['CREATE'])\n"
        "column_privs_are('item', 'code', 'pgtap_clerk', array['UPDATE'])\n"
        "any_column_privs_are('item', 'pgtap_clerk', array['UPDATE'])\n"
        "sequence_privs_are('ticket', 'pgtap_clerk', array['USAGE'])\n"
        "function_privs_are('one', array[]::name[], 'pgtap_clerk', array[]::name[])\n"
        "database_privs_are(current_database(), 'pgtap_clerk', array['CREATE'])\n"
        "language_privs_are('sql', 'pgtap_clerk', array[]::name[])\n"
        "fdw_privs_are('nowhere', 'pgtap_clerk', array['USAGE'])\n"
        "server_privs_are('far', 'pgtap_clerk', array['USAGE'])\n"
        "tablespace_privs_are('pg_default', 'pgtap_clerk', array['CREATE'])",
    ),
    "policies": Family(
        "policies_are('item', array['mine'])\n"
        "policy_roles_are('item', 'mine', array['pgtap_clerk'])\n"
        "policy_cmd_is('shop', 'item', 'mine'::name, 'select')",
        "policies_are('item', array['yours'])\npolicy_roles_are('item', 'mine', array['public'])\n"
        "policy_cmd_is('shop', 'item', 'mine'::name, 'update')",
    ),
    "inheritance": Family(
        "has_inherited_tables('sale')\nhasnt_inherited_tables('item')\n"
        "is_ancestor_of('sale', 'old_sale')\nisnt_ancestor_of('item', 'old_sale')\n"
        "is_descendent_of('old_sale', 'sale')\nisnt_descendent_of('old_sale', 'item')",
        "has_inherited_tables('item')\nhasnt_inherited_tables('sale')\n"
        "is_ancestor_of('item', 'old_sale')\nisnt_ancestor_of('sale', 'old_sale')\n"
        "is_descendent_of('old_sale', 'item')\nisnt_descendent_of('old_sale', 'sale')",
    ),
    "partitions": Family(
        "is_partitioned('log')\nisnt_partitioned('item')\nis_partition_of('log_1', 'log')\n"
        "partitions_are('log', array['log_1'])",
        "is_partitioned('item')\nisnt_partitioned('log')\nis_partition_of('item', 'log')\n"
        "partitions_are('log', array['log_2'])",
    ),
    "todo": Family(
        "todo('later', 1)\nfail('a')\ntodo_start('both')\nfail('b')\n"
        "is(in_todo(), true, 'c')\ntodo_end()\npass('d')",
        "todo('later', 1)\nfail('a')\nfail('b')",
    ),
    "skip": Family(
        "skip('slow')\nskip('why', 1)\nskip(1)",
        "skip('slow')\nfail('b')",
    ),
    "diagnostics": Family(
        "pass('a') union all select diag('hello ', 'you')\ncollect_tap(ok(true, 'b'), diag('c'))",
        "collect_tap(fail('a'), diag('why'))",
    ),
    "tests_in_functions": Family(
        "do_tap('shop'::name, '^tap_good')",
        "do_tap('shop'::name, '^tap_')",
    ),
    "tests_of_tests": Family(
        "check_test(ok(true, 'a'), true, 'b')",
        "check_test(ok(true, 'a'), false, 'b')",
    ),
    "utilities": Family(
        "is(pgtap_version() > 1, true)\nis(pg_version_num() > 100000, true)\n"
        "isnt(os_name(), '')\nmatches(pg_version(), '^[0-9]')\n"
        "is(findfuncs('shop'::name, '^one$'), array['shop.one'])\nis(num_failed(), 0)",
        "is(pgtap_version() > 1, false)\nis(findfuncs('shop'::name, '^x'), array['shop.one'])",
    ),
}

-- Where Supabase's Storage is, seven policies guard our buckets; test_storage.py tries each role.
begin;
select plan(1);

-- One text: a view's name and a constant have different collations, which results_eq refuses.
select is(
    (
        select string_agg(
            format('%s %s %s %s', policyname, permissive, roles, cmd),
            e'\n' order by policyname
        )
        from pg_policies
        where schemaname = 'storage' and policyname like 'rendio\_%'
    ),
    (
        select string_agg(p, e'\n')
        from unnest(array[
            'rendio_files_closed_to_anon RESTRICTIVE {anon} ALL',
            'rendio_files_delete_closed RESTRICTIVE {authenticated} DELETE',
            'rendio_files_insert_only_own RESTRICTIVE {authenticated} INSERT',
            'rendio_files_insert_own PERMISSIVE {authenticated} INSERT',
            'rendio_files_select_only_own RESTRICTIVE {authenticated} SELECT',
            'rendio_files_select_own PERMISSIVE {authenticated} SELECT',
            'rendio_files_update_closed RESTRICTIVE {authenticated} UPDATE'
        ]) as p
        where to_regclass('storage.objects') is not null
    ),
    'these and no others'
);

select * from finish();
rollback;

--! as caller
--! where storage.objects
-- Files in Supabase Storage: three private buckets, read by signed URL. `videos` and `thumbnails`
-- are written by the service alone; a user uploads into a folder of its own in `user_uploads`.
-- As the caller, because everything in schema storage belongs to Supabase.
--
-- Locks: ACCESS EXCLUSIVE on storage.objects for as long as seven policies take.
--
-- A bucket that exists keeps the limits that somebody gave it and gets those it lacks: without
-- types it would take HTML, and serve it. Sizes are in bytes.
insert into storage.buckets as b (id, name, public, file_size_limit, allowed_mime_types)
values
('videos', 'videos', false, 209715200, '{video/mp4,video/webm,video/quicktime}'),
('thumbnails', 'thumbnails', false, 2097152, '{image/jpeg,image/png,image/webp}'),
('user_uploads', 'user_uploads', false, 5242880, '{image/jpeg,image/png,image/webp}')
on conflict (id) do update set
    file_size_limit = coalesce(b.file_size_limit, excluded.file_size_limit),
    allowed_mime_types = coalesce(b.allowed_mime_types, excluded.allowed_mime_types)
where b.file_size_limit is null or b.allowed_mime_types is null;

-- Whatever the policies say, a public bucket is open to everybody who knows a name in it. Closing
-- it breaks the URLs that somebody may be using, so that is somebody's decision.
do $$
declare
    v_public text;
begin
    select string_agg(quote_literal(b.id), ', ' order by b.id) into v_public
    from storage.buckets as b
    where b.id in ('videos', 'thumbnails', 'user_uploads') and b.public;
    if v_public is not null then
        raise exception 'public buckets: %', v_public
            using hint = format(
                'update storage.buckets set public = false where id in (%s); and read by signed'
                ' URL.', v_public
            );
    end if;
end;
$$;

-- What a user may do. Making a signed URL takes the right to read; files of guests merged into
-- the user are the user's. Nobody may update, move, replace or delete.
drop policy if exists rendio_files_select_own on storage.objects;
create policy rendio_files_select_own on storage.objects
for select to authenticated
using (
    bucket_id in ('videos', 'thumbnails', 'user_uploads')
    and (
        (storage.foldername(name))[1] = (select auth.uid())::text
        or (storage.foldername(name))[1] in (
            select u.id::text
            from public.users as u
            where u.merged_into = (select auth.uid())
        )
    )
);

drop policy if exists rendio_files_insert_own on storage.objects;
create policy rendio_files_insert_own on storage.objects
for insert to authenticated
with check (
    bucket_id = 'user_uploads'
    and (storage.foldername(name))[1] = (select auth.uid())::text
    -- A name is a key and no path, until something resolves it as one.
    and not string_to_array(name, '/') && '{"",.,..}'
);

-- And what nobody's policy can add to it: permissive ones, for example of the dashboard for all
-- buckets, add up; restrictive ones hold all the same. Other buckets are none of our business.
drop policy if exists rendio_files_closed_to_anon on storage.objects;
create policy rendio_files_closed_to_anon on storage.objects
as restrictive for all to anon
using ((bucket_id in ('videos', 'thumbnails', 'user_uploads')) is not true);

drop policy if exists rendio_files_select_only_own on storage.objects;
create policy rendio_files_select_only_own on storage.objects
as restrictive for select to authenticated
using (
    (bucket_id in ('videos', 'thumbnails', 'user_uploads')) is not true
    or (storage.foldername(name))[1] = (select auth.uid())::text
    or (storage.foldername(name))[1] in (
        select u.id::text
        from public.users as u
        where u.merged_into = (select auth.uid())
    )
);

drop policy if exists rendio_files_insert_only_own on storage.objects;
create policy rendio_files_insert_only_own on storage.objects
as restrictive for insert to authenticated
with check (
    (bucket_id in ('videos', 'thumbnails', 'user_uploads')) is not true
    or (
        bucket_id = 'user_uploads'
        and (storage.foldername(name))[1] = (select auth.uid())::text
        and not string_to_array(name, '/') && '{"",.,..}'
    )
);

drop policy if exists rendio_files_update_closed on storage.objects;
create policy rendio_files_update_closed on storage.objects
as restrictive for update to authenticated
using ((bucket_id in ('videos', 'thumbnails', 'user_uploads')) is not true);

drop policy if exists rendio_files_delete_closed on storage.objects;
create policy rendio_files_delete_closed on storage.objects
as restrictive for delete to authenticated
using ((bucket_id in ('videos', 'thumbnails', 'user_uploads')) is not true);

-- The buckets that the plans ask for ("Public with RLS policies", the uploads private) and the
-- policies that they write, for schema storage of a Supabase project (tests/profiles/storage.sql).
-- They say nothing of sizes and types, and have no policy for the two other buckets.

insert into storage.buckets (id, name, public)
values
('videos', 'videos', true),
('thumbnails', 'thumbnails', true),
('user_uploads', 'user_uploads', false);

create policy "Users can upload own videos" on storage.objects
for insert with check (
    bucket_id = 'videos'
    and auth.uid()::text = (storage.foldername(name))[1]
);

create policy "Users can read own videos" on storage.objects
for select using (
    bucket_id = 'videos'
    and auth.uid()::text = (storage.foldername(name))[1]
);

-- What a deleted account leaves of a device: the same for the same device, and no way back.
begin;
select plan(4);

select is(
    rendio.forgotten('abc'),
    'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad', 'a SHA-256'
);
select is(
    rendio.forgotten('ü'),
    encode(sha256('\xc3bc'), 'hex'), 'of the UTF-8, whatever the database''s encoding'
);
select isnt(rendio.forgotten('ada-phone'), rendio.forgotten('ada-phone '), 'to the last blank');
select cmp_ok(
    length(rendio.forgotten(repeat('x', 255))), '<=', 255, 'it fits where the identifier was'
);

select * from finish();
rollback;

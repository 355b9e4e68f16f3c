-- What PostgREST passes on.
begin;
select plan(5);

select is(rendio.request_header('x-device'), null, 'without a request there are no headers');
set local request.headers = '';
select is(rendio.request_header('x-device'), null, 'nor in an empty one');
set local request.headers = '{"x-device": "phone", "accept": "*/*"}';
select is(rendio.request_header('x-device'), 'phone', 'a header has a value');
select is(rendio.request_header('X-Device'), null, 'under its name in lower case');
set local request.headers = '{"x-device": ';
select is(rendio.request_header('x-device'), null, 'what is no JSON says nothing');

select * from finish();
rollback;

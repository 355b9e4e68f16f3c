-- Single facts, in the order in which they are told.
select format(
    'rendio %s is applied: %s', rendio.version(), demo.n(count(*), 'file')
)
from rendio.migrations;

select format(
    '%s by %s',
    demo.n(count(*), 'call'), demo.n(count(distinct c.who), 'actor')
)
from demo.calls as c where c.who <> 'cron';

select format(
    'While it played, the demo ran the cron jobs as they came due: %s. '
    'From here on the server runs them.',
    coalesce(string_agg(format('%s (%s)', c.call, c.runs), ', ' order by c.call), 'none did')
)
from (
    select c.call, demo.n(count(*)) as runs
    from demo.calls as c where c.who = 'cron' group by c.call
) as c;

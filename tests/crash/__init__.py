"""Crash test: clients drive every call while the server and its backends are killed with SIGKILL.

``make crash`` runs it. Every call is journalled outside of the database before it is sent and when
it is answered. After each restart the journal alone says what the ledger must hold: an answered
call is there once, an unanswered one wholly or not at all, and repeating it comes to the same.

    server.py    the private server, its deaths and what its log says of them
    seams.sql    where the test sets the time and holds a call inside
    calls.py     one journalled call, and where each kind of call can be held
    people.py    what users, stores and providers do, one call after the other
    clients.py   connections that make those calls until they are lost
    books.py     the ledgers as they follow from the journal (account.py: one person's credits)
    facts.py     what the database holds of that
    traces.py    what a call leaves besides ledger entries: all of it, or none
    checks.py    what must be true after every restart
    run.py       rounds of calls, each ended by a kill
    deaths.py    workers and webhook handlers that die between the provider and us (worker.py)
    campaign.py  a whole run, and what it came to
"""

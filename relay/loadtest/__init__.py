"""The load test: virtual clients that check every delivery. It shares no frame or fan-out code with the gateway.

Packages, from the top layer down; a module imports from its own package and from those below it, as the lines say:

    run        the coordinator: worker pool, phases, sweep, totals    → generator, target, result, plan, units
    report     HTML page and terminal summary                         → result, units
    generator  a worker process: virtual clients, load publishers     → result, plan
    target     the servers: started, observed, stopped                → result
    result     what a run showed: counts, histograms, verdict         → units
    plan       what a run is to do, decided before it starts          → nothing
    units      numbers with units: parsed, formatted                  → nothing

Besides that, each may know the relay's errors, redaction, version and system_error. `tests/loadtest/test_layers.py`
checks this table, and that no imports form a circle.
"""

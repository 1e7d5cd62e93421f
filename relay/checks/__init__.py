"""What speaks against putting these settings on this machine into production: what `relay check` says. Pure.

Facts are gathered by `relay.cli.check_facts`. Each item is a function of them, and has its heading in
docs/production.md; `table.py` lists all.
"""

"""The figures we publish, and the scripts that made them. `make bench` runs them all.

| Module | Is |
|---|---|
| `__main__` | the run: what is measured, in which order |
| `generator` | the load, the same for every program |
| `dialects` | how each program is asked, and how its answers are checked |
| `servers` | starts and stops the programs, each on the core of the servers |
| `noop`, `ceiling` | the two servers of our own to compare with |
| `store` | the vault's adapter alone, without HTTP (`python -m bench.store`) |
| `profile` | where the time of a request goes (`python -m bench.profile`) |
| `facts` | the machine, the versions, the memory |
| `report` | medians, targets, the table, the file of figures, docs/performance.md |
"""

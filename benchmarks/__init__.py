"""How fast is the server? One table, measured on this machine: `python -m benchmarks`.

Every measurement starts a real stub model and a real server, each a process of its own, and speaks to them over
loopback as Label Studio does. `processes` starts them and reads what they cost, `bodies` are the host's requests,
`traffic` sends them, `measures` makes the rows, `reference` is the yardstick.
"""

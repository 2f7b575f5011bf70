"""`./aisle chaos`: a whole system of its own, one fault after the other, and a check that nothing was lost or doubled.

* ``system``    the running parts, which are restarted when they die, as the platform restarts instances
* ``proxy``     what stands between functions and services, and can fall silent or refuse
* ``driver``    shoppers and staff: events, orders, reads and price changes
* ``record``    what was accepted, on the disk before it counts
* ``snapshot``  the database as it is after a fault
* ``checker``   the snapshot held against the record and against recomputation
* ``faults``    the faults
* ``report``    the table
"""

"""Where what is kept of keys lies: one contract, and a file for each kind of store."""

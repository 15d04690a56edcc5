"""What must hold of tables: checks that ask for the offending rows, contracts, profiles, drift, and telling people."""
